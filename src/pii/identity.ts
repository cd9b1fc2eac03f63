/**
 * Numbers that a state gives to persons and firms, only where a word before them says so: their forms are too many, and
 * their digits could be anything.
 */
import { codeAt } from "./boundary.ts"
import type { Kind } from "./Kind.ts"
import type { Span } from "./span.ts"
import { isCodiceFiscale, isNie, isNric, luhn } from "./validate.ts"

/** Words and abbreviations of the countries that give them out, and what they are called in English. */
const nationalWords = [
  "pesel|nip|regon|dow[oó]d(?:u)?(?: osobist(?:y|ego))?|cpf|cnpj|dni|nif|nie|cif|nino|ni number|nhs|aadhaar|aadhar|uidai|pan(?: card)?|sin|tin|itin|ein|atin|ptin",
  "n[uú]mero de identificaci[oó]n(?: de extranjero| fiscal| tributaria| personal)?|documento nacional de identidad|c[eé]dula(?: de)?(?: identidad| ciudadan[ií]a| residencia| persona f[ií]sica| extranjer[ií]a| jur[ií]dica)?",
  "cuit|cuil|rut|rut chileno|rol [uú]nico tributario|nit|ruc|rnc|rif|curp|rfc|clabe|cbu|cui|cci|nss|n[uú]mero de seguridad social|carn[eé] de extranjer[ií]a",
  "national insurance|social insurance|insurance number|national id(?:entity|entification)?|identity card|id card|identity document|resident registration|foreigner registration|alien registration",
  "(?:national|personal|citizen|identity|identification|unique master citizen|resident|birth|population|civil) (?:id|identification|identity|registration|register|identifier|code|number)",
  "tax(?:payer)?(?:'s)?(?: number| no\\.?| id(?:entification)?| identifier| file| reference| register| registration| code| reg\\.?)|fiscal code|fiscal number|vat(?: id| reg(?:istration|\\.)?| code)?|tva|tfn|abn|acn|utr|unique taxpayer reference",
  "steuer-?id(?:entifikationsnummer)?|idnr|steuer-?idnr\\.?|steuernummer|st\\.-nr\\.?|ust-?id(?:nr|nummer)?\\.?|umsatzsteuer-identifikationsnummer|versicherungsnummer|sozialversicherungsnummer|rentenversicherungsnummer|svnr|vsnr|kvnr|krankenversichertennummer|personalausweis(?:nummer)?|ausweisnummer|abgabenkontonummer|ahv(?:-nr|-nummer)?",
  "personnummer|samordningsnummer|organisationsnummer|orgnr|organisasjonsnummer|hetu|henkil[oö]tunnus|y-tunnus|alv-numero|veronumero|f[oø]dselsnummer|d-nummer|cpr(?:-nummer|-nr\\.?)?|cvr(?:-nummer)?|kennitala|isikukood|asmens kodas|personas kods|pvn|pvm kodas|kmkr|registrikood",
  "rodn[eé] [cč][ií]slo|r[cč]|di[cč]|i[cč]o|i[cč] dph|jmbg|emšo|emso|oib|osobni identifikacijski broj|jedinstveni mati[cč]ni broj(?: gra[dđ]ana)?|mati[cč]na številka|dav[cč]na številka|egn|cnp|cod numeric personal|pib|edb|nipt|nuis|ad[oó]azonos[ií]t[oó](?: jel)?|ad[oó]sz[aá]m|szem[eé]lyi sz[aá]m|taj(?: sz[aá]m)?",
  "bsn|burgerservicenummer|sofinummer|onderwijsnummer|identiteitskaartnummer|btw(?:-nr\\.?|-nummer|-identificatienummer)?|rijksregisternummer|ondernemingsnummer|insz|niss|bis-?nummer|num[eé]ro national|num[eé]ro (?:de )?s[eé]curit[eé] sociale|s[eé]curit[eé] sociale|nir|insee|num[eé]ro fiscal|num[eé]ro d'identification(?: fiscale| personnelle)?|siret",
  "codice fiscale|partita iva|p\\.? ?iva|carta d'identit[aà]|tessera sanitaria|cart[aã]o de cidad[aã]o|bilhete de identidade|n[uú]mero de identifica[cç][aã]o(?: fiscal| civil)?|nus|rg|registro geral|cadastro de pessoas f[ií]sicas|cnh|pis|nuit",
  "pps(?:n)?(?: number| no\\.?)?|personal public service number|afm|amka|hkid|nric|fin|mykad|nik|nomor induk kependudukan|npwp|nomor pokok wajib pajak|mst|m[aã] s[oố] thu[eế]|cccd|cmnd|cnic|ntn|gstin|voter id|ird(?: number)?|medicare(?: card)?|mbi|medicare beneficiary identifier|npi|national provider identifier|bsnr|lanr|tckn|t\\.?c\\.? ?kimlik(?: no)?|vkn|vergi (?:no|numaras[iı])|bvn|nin|ssnit|uen|ubn|kra pin|personal health number|health (?:card|insurance)|pension insurance|medical record|mrn",
  "permanent account|employer identification|(?:company|organi[sz]ation|business|enterprise) (?:registration|identification|number|id)|driver'?s?'? licen[cs]e|driving licen[cs]e|f[uü]hrerschein(?:nummer)?|permis de conduire|licencia de conducir|prawo jazdy|patente|licen[cs]e plate|number plate|vehicle registration|registration plate|kennzeichen|matr[ií]cula|rendsz[aá]m",
  "n[uú]mero de registre tributari|nrt|numri i identifikimit|clave (?:bancaria|[uú]nica)(?: [\\p{L}]{2,12}){0,5}|clabe|registro (?:[uú]nico|nacional|federal)(?: de(?:l)?)?(?: contribuyentes?)?|c[oó]digo (?:[uú]nico )?de identificaci[oó]n(?: fiscal)?|n[uú]mero [uú]nico de identifica[cç][aã]o(?: tribut[aá]ria)?|cod(?:ul)? de identificare fiscal[aă]|cif|enotna mati[cč]na [sš]tevilka|identificatienummer(?: van de sociale zekerheid)?|num[eé]ro bis|num[eé]ro d.(?:immatriculation|inscription)(?: fiscale| au rnipp)?",
  "kimlik numaras[iı]|t[uü]rkiye cumhuriyeti kimlik numaras[iı]|plaka|placa|rekisterinumero|registreringsnummer|spz|targa|kontrollschild|konto ?(?:nr\\.?|nummer)|mva|peid|personenidentifikationsnummer|v-number|ninea|te tari taake|rntrc|natid|pwnr|ausweisen|merverdiavgift",
  "единен граждански номер|идентификационный номер(?: налогоплательщика)?|личен номер|реєстраційний номер|учетный номер|中華民國國民身分證|身份證|香港身份證|國民身分證|護照號碼|บัตรประจำตัวประชาชน(?:ไทย)?|رقم بطاقة التعريف|رقم جواز السفر",
  "инн|снилс|огрн(?:ип)?|паспорт|егн|лнч|унп|рнокпп|єдрпоу|іпн|едб|αφμ|αμκα|תעודת זהות|מספר זהות|رقم الهوية|الرقم الوطني|الرقم القومي|کد ملی|身份证(?:号码?)?|居民身份证|身分證(?:字號)?|統一編號|统一社会信用代码|マイナンバー|個人番号|法人番号|주민등록번호|주민번호|외국인등록번호|운전면허번호|사업자 ?등록 ?번호|เลขประจำตัวประชาชน"
].join("|")
/** Official names that are long: their last words are listed below. */
const officialNames = [
  "enotna mati[cč]na [sš]tevilka ob[cč]ana|vergi identifikasiya n[oö]mr[eə]si|v[oö]en|steuerliche identifikationsnummer|powszechny elektroniczny system ewidencji ludno[sś]ci|k[aä]ibemaksukohuslase|partita imposta sul valore aggiunto",
  "n[uú]mero de identidad de extranjero|c[eé]dula [uú]nica de identidad|c[eé]dula de la identidad civil|nic number|личен номер на чужденец|учетный номер плательщика|ח\\.פ\\.|法人番号|vehicle number"
].join("|")
const passportWords =
  "passport|travel document|paszport(?:u)?|reisepass(?:nummer)?|passnummer|pasnummer|paspoort(?:nummer)?|pasaporte|passeport|passaporto|passaporte|pasaport|paspor|pasport|pașaport|putovnica|putovnice|cestovn[ií] pas|cestovn[yý] pas|útlevél|passin numero|διαβατήριο|护照(?:号码?)?|護照|旅券番号|여권번호|หนังสือเดินทาง|گذرنامه"
const licenceWords =
  "born(?: on)?|date of birth|birth ?date|birthday|dob|d\\.o\\.b\\.|data de nascimento|fecha de nacimiento|geburtsdatum|date de naissance|data di nascita|geboortedatum|født|född|urodzon(?:y|a|ym|ej)(?: dnia)?|geboren am|n[eé](?:e)? le"

const bankWords =
  "bank account|account (?:number|no\\.?|#)|acct(?: number| no\\.?)?|checking account|savings account|routing (?:number|no\\.?)|aba|aba routing|transit number|sort code|bsb|ifsc|swift|bic|swift code|bic code|kontonummer|num[eé]ro de compte|cuenta|conto"
/** ISO 9362. */
const bic = /[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?(?![A-Za-z0-9])/y

const codeWords = "cvv2?|cvc2?|csc|cid|security code|verification (?:code|value)"

const deviceWords = "imei|imeisv|meid"
/** 3GPP TS 23.003, section 6.2.1: an IMEI is fourteen digits and a Luhn check digit; an IMEISV has two more instead. */
const device = /\d{2}[ -]?\d{6}[ -]?\d{6}[ -]?\d{1,2}(?![\d.-])/y
const expiryWords = "exp(?:iry|iration)?(?: date)?|expires?|(?:valid|good) thru"
/** As it is printed on a card, behind a word that says so, near a word that says that it is a card's. */
const expiry = /(?:0[1-9]|1[0-2]) ?[/-] ?(?:20)?[2-4]\d(?![\d/.-])/y
const cardNear = /(?:card|visa|amex|mastercard|cvv|cvc|cc|\bpan)\b|CREDIT_CARD|\d{4}[ -]\d{4}[ -]\d{4}|\d{12}/i

const before = (words: string): RegExp =>
  new RegExp(
    `(?:^|[^\\p{L}])(?:${words})(?:[ :]{1,2}(?:is|was|are|no\\.?|nr\\.?|num\\.?|n[°º]|n[uú]mero|number|card|code|id|identifier|of|for|é|es|ist|est|è|jest|je|este|är|er|on)){0,3}[^\\p{L}\\d\\n\\]]{0,12}$`,
    "iu"
  )
const nationalBefore = before(`${nationalWords}|${officialNames}`)
const passportBefore = before(passportWords)
const codeBefore = before(codeWords)
const bankBefore = before(bankWords)
const bicBefore = /(?:\b(?:swift|bic)\b(?: code)?(?: is)?\s?:\s{0,3}|\b(?:swift|bic) (?:code|is) )$/i
const birthBefore = before(licenceWords)
const deviceBefore = before(deviceWords)
const expiryBefore = before(expiryWords)

const isWide = (code: number): boolean => code > 0x0e00
/** A word without its accents, in small letters. */
const plainOf = (word: string): string =>
  word.toLowerCase().normalize("NFD").replace(/\p{M}/gu, "").replace(
    /[øłđıß]/g,
    (letter) => undivided.get(letter) ?? ""
  )
/** Letters that are none of ASCII's with an accent. */
const undivided = new Map([["ø", "o"], ["ł", "l"], ["đ", "d"], ["ı", "i"], ["ß", "ss"]])

/**
 * Every word that may be the last one before a value, by its first five letters; where words are not separated, by its
 * last three. A word of a pattern may have letters left out.
 */
const beginsOf = (words: string): ReadonlyArray<string> =>
  words.replace(/\[(.)[^\]]*\]/g, "$1").replace(/[()?:]/g, " ").split(/[^\p{L}\p{M}]+/u).filter((word) => word !== "")
    .flatMap((word) => isWide(word.charCodeAt(0)) ? [word.slice(-3), word.slice(-2)] : [plainOf(word).slice(0, 5)])

const BIRTH = 1
const CODE = 2
const PASSPORT = 4
const NATIONAL = 8
const BANK = 16
const DEVICE = 32
const EXPIRY = 64
/** Of each such word, which lists have it. */
const lastWords = new Map<string, number>()
const addWords = (list: number, words: string): void => {
  for (const word of beginsOf(words)) lastWords.set(word, (lastWords.get(word) ?? 0) | list)
}
addWords(BIRTH, licenceWords)
addWords(CODE, codeWords)
addWords(PASSPORT, passportWords)
addWords(NATIONAL, nationalWords)
addWords(BANK, bankWords)
addWords(DEVICE, deviceWords)
addWords(EXPIRY, "exp expiry expiration expires thru date")
// Last words of names that a pattern leaves open.
addWords(
  NATIONAL,
  "población estandarizada uniforme občana"
)

/** Words between a name and its value. */
const links = new Set(
  "is was are no nr num number numero card code id identifier of for e es ist est jest je este ar er on value n".split(
    " "
  )
)

const isLetter = (code: number): boolean => (code >= 65 && code < 91) || (code >= 97 && code < 123) || code > 191

/** The first letters of a word without its accents; most words have none. */
const startOfWord = (text: string, first: number, end: number): string => {
  for (let i = first; i < end; i++) if (text.charCodeAt(i) > 127) return plainOf(text.slice(first, end)).slice(0, 5)
  return text.slice(first, Math.min(end, first + 5)).toLowerCase()
}

/** The lists that the words before may be of: most are of none, and cost no more than this. */
const listsBefore = (text: string, start: number): number => {
  let end = start
  let lists = 0
  for (let word = 0; word < 4; word++) {
    const from = end
    while (end > 0 && from - end < 14 && !isLetter(text.charCodeAt(end - 1))) {
      const code = text.charCodeAt(--end)
      if (code === 10 || (code >= 48 && code < 58)) return lists
    }
    if (end === 0 || !isLetter(text.charCodeAt(end - 1))) return lists
    let first = end
    while (first > 0 && end - first < 32 && isLetter(text.charCodeAt(first - 1))) first--
    if (isWide(text.charCodeAt(end - 1))) {
      return lastWords.get(text.slice(end - 3, end)) ?? lastWords.get(text.slice(end - 2, end)) ?? 0
    }
    const begin = startOfWord(text, first, end)
    lists |= lastWords.get(begin) ?? 0
    // Before a word that may be a link, or the name itself, may stand the name.
    if (end - first > 10 || !links.has(end - first > 5 ? plainOf(text.slice(first, end)) : begin)) return lists
    end = first
  }
  return lists
}

const value = /[A-Z]{0,6}[ -]?\d[\dA-Z]*(?:(?:[ ./-]{1,2}| - )(?=[A-Z]{0,6}\d|[A-Z]{1,3}\b)[\dA-Z]+){0,8}/y
const lower = /[a-z]{1,4}\d{5,10}[a-z]{0,2}\b/y
const code = /\d{3,4}(?![\w.-])/y
const date =
  /\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|\d{1,2}(?:st|nd|rd|th|\.|º)?(?: of| de)? (?:\p{L}{3,12})\.?,?(?: de| del)? \d{4}|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.? \d{1,2}(?:st|nd|rd|th)?,? \d{4}/uy

const account = /\d(?:[ -]?\d){5,16}(?![\d.,]*[\d%])/y

/** A number of an account, or the code of a bank. */
const accountAt = (text: string, start: number, behind: string): Span | undefined => {
  bic.lastIndex = start
  if (bic.test(text) && bicBefore.test(behind)) return { start, end: bic.lastIndex, kind: "BANK_ACCOUNT" }
  account.lastIndex = start
  return account.test(text) && bankBefore.test(behind)
    ? { start, end: account.lastIndex, kind: "BANK_ACCOUNT" }
    : undefined
}

/** An id that its form and check letter give away: codice fiscale, NIE, NRIC. */
export const strongIdAt = (text: string, start: number, end: number): Span | undefined => {
  const length = end - start
  if (length !== 9 && length !== 16) return undefined
  const word = text.slice(start, end)
  return (length === 16 ? isCodiceFiscale(word) : isNie(word) || isNric(word))
    ? { start, end, kind: "NATIONAL_ID" }
    : undefined
}

const month =
  /^(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)$/

/** A date of birth that begins with its month. */
export const birthAt = (text: string, start: number, end: number): Span | undefined =>
  month.test(text.slice(start, end)) ? identityAt(text, start) : undefined

/** A value with digits whose name stands before it: a national id, a passport, a date of birth. */
export const identityAt = (text: string, start: number): Span | undefined => {
  const lists = listsBefore(text, start)
  if (lists === 0 || (lists === EXPIRY && codeAt(text, start + 2, text.length) > 47)) return undefined
  // Where words are not separated names are short.
  const reach = start > 0 && isWide(text.charCodeAt(start - 1)) || (start > 1 && isWide(text.charCodeAt(start - 2)))
    ? 16
    : 72
  const behind = text.slice(Math.max(0, start - reach), start)
  if ((lists & BIRTH) !== 0 && birthBefore.test(behind)) {
    date.lastIndex = start
    return date.test(text) ? { start, end: date.lastIndex, kind: "DATE_OF_BIRTH" } : undefined
  }
  if ((lists & CODE) !== 0 && codeBefore.test(behind)) {
    code.lastIndex = start
    return code.test(text) ? { start, end: code.lastIndex, kind: "CVV" } : undefined
  }
  if ((lists & DEVICE) !== 0 && deviceBefore.test(behind)) {
    device.lastIndex = start
    const digits = device.exec(text)?.[0].replace(/\D/g, "")
    return digits !== undefined && (digits.length === 16 || luhn(digits))
      ? { start, end: device.lastIndex, kind: "IMEI" }
      : undefined
  }
  if ((lists & EXPIRY) !== 0) {
    expiry.lastIndex = start
    const near = () => cardNear.test(text.slice(Math.max(0, start - 96), start))
    if (expiry.test(text) && expiryBefore.test(behind) && near()) {
      return { start, end: expiry.lastIndex, kind: "CARD_EXPIRY" }
    }
  }
  const kind: Kind | undefined = (lists & PASSPORT) !== 0 && passportBefore.test(behind)
    ? "PASSPORT"
    : (lists & NATIONAL) !== 0 && nationalBefore.test(behind)
    ? "NATIONAL_ID"
    : undefined
  if (kind === undefined) return (lists & BANK) === 0 ? undefined : accountAt(text, start, behind)
  value.lastIndex = start
  lower.lastIndex = start
  const match = lower.exec(text) ?? value.exec(text)
  if (match === null) return undefined
  // `RFC 2617` is a document; the number of a Mexican taxpayer begins with letters.
  if (/^\d{3,5}\b[\d/. ]*(?: ?[A-Z]+)?$/.test(match[0]) && /\bRFC\W{0,3}$/i.test(behind)) return undefined
  // The name of a device beside a browser's: `Le Pan TC802A`.
  if (text.startsWith("Mozilla/") && /\bPan $/.test(behind)) return undefined
  const digits = match[0].replace(/\D/g, "").length
  const letters = match[0].replace(/[^A-Za-z]/g, "").length
  return (digits >= 5 || (digits >= 3 && letters >= 2 && digits + letters >= 6)) && digits <= 22 &&
      match[0].length <= 36
    ? { start, end: start + match[0].length, kind }
    : undefined
}
