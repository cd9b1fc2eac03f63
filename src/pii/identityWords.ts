/**
 * Words that stand before the number of a document, a date of birth, a postal code or an account, and say what it is:
 * official names, abbreviations and what people call them, by country where that is clear. All are parts of patterns.
 */

const list = (...words: ReadonlyArray<string>): string => words.join("|")

/** Ids of persons and firms, licences to drive, and what they are called in English. */
export const nationalWords = list(
  "pesel|nip|regon|dow[oó]d(?:u|em)?(?: osobist(?:y|ego|ym))?|cpf|cnpj|dni|nif|nie|cif|nino|ni number|nhs|aadhaar|aadhar|uidai|pan(?: card)?|sin|tin|itin|ein|atin|ptin",
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
  "permanent account|employer identification|(?:company|organi[sz]ation|business|enterprise) (?:registration|identification|number|id)|driver'?s?'? licen[cs]e|driving licen[cs]e|f[uü]hrerschein(?:nummer)?|permis de conduire|licencia de conducir|prawo jazdy|patente|licen[cs]e plate|number plate|vehicle registration|registration plate|kennzeichen|matr[ií]cula|rendsz[aá]m|מספר רכב",
  "n[uú]mero de registre tributari|nrt|numri i identifikimit|clave (?:bancaria|[uú]nica)(?: [\\p{L}]{2,12}){0,5}|clabe|registro (?:[uú]nico|nacional|federal)(?: de(?:l)?)?(?: contribuyentes?)?|c[oó]digo (?:[uú]nico )?de identificaci[oó]n(?: fiscal)?|n[uú]mero [uú]nico de identifica[cç][aã]o(?: tribut[aá]ria)?|cod(?:ul)? de identificare fiscal[aă]|cif|enotna mati[cč]na [sš]tevilka|identificatienummer(?: van de sociale zekerheid)?|num[eé]ro bis|num[eé]ro d.(?:immatriculation|inscription)(?: fiscale| au rnipp)?",
  "kimlik numaras[iı]|t[uü]rkiye cumhuriyeti kimlik numaras[iı]|plaka|placas?|rekisterinumero|registreringsnummer|spz|targa|kontrollschild|konto ?(?:nr\\.?|nummer)|mva|peid|personenidentifikationsnummer|v-number|ninea|te tari taake|rntrc|natid|pwnr|ausweisen|merverdiavgift",
  "единен граждански номер|идентификационный номер(?: налогоплательщика)?|личен номер|реєстраційний номер|учетный номер|中華民國國民身分證|身份證|香港身份證|國民身分證|護照號碼|บัตรประจำตัวประชาชน(?:ไทย)?|رقم بطاقة التعريف|رقم جواز السفر",
  "инн|снилс|огрн(?:ип)?|паспорт|егн|лнч|унп|рнокпп|єдрпоу|іпн|едб|αφμ|αμκα|תעודת זהות|מספר זהות|رقم الهوية|الرقم الوطني|الرقم القومي|کد ملی|身份证(?:号码?)?|居民身份证|身分證(?:字號)?|統一編號|统一社会信用代码|マイナンバー|個人番号|法人番号|주민등록번호|주민번호|외국인등록번호|운전면허번호|사업자 ?등록 ?번호|เลขประจำตัวประชาชน",
  "enotna mati[cč]na [sš]tevilka ob[cč]ana|vergi identifikasiya n[oö]mr[eə]si|v[oö]en|steuerliche identifikationsnummer|powszechny elektroniczny system ewidencji ludno[sś]ci|k[aä]ibemaksukohuslase|partita imposta sul valore aggiunto",
  "n[uú]mero de identidad de extranjero|c[eé]dula [uú]nica de identidad|c[eé]dula de la identidad civil|nic number|личен номер на чужденец|учетный номер плательщика|ח\\.פ\\.|法人番号|vehicle number",
  "philhealth|sss (?:no\\.?|number)|nuip|clave de elector|nuss|n[uú]mero de la seguridad social|registro [uú]nico tributario|ΑΔΤ|αριθμ[οό]ς (?:δελτ[ιί]ου )?ταυτ[οό]τητας|αριθμ[οό]ς μητρ[ωώ]ου κοινωνικ[ηή]ς ασφ[αά]λισης|ембг|ебн",
  "t\\.?c\\.? ?kimlik|kimlik|versichertennummer|krankenversicherungsnummer|krankenkassennummer|steuer ?-?nr\\.?|betriebsst[aä]ttennummer|arztnummer|ausweis(?:-nr\\.?)?|ob[cč]ansk[yý] pr[uů]kaz|[cč][ií]slo (?:op|ob[cč]ansk[eé]ho pr[uů]kazu)|ob[cč]iansky preukaz",
  "poreski identifikacioni broj|ідентифікаційний код|individual taxpayer registration number|vinnutal|matricule(?: nationale)?|dea (?:number|no\\.?)|korean [rf]rn|tnin|tpin|gst (?:registration|number|no\\.?)|voter(?: id)?|svensk id|identifikationsnummer",
  "身分證(?:字?號碼?)?|身份证号?码?|เลขบัตรประชาชน|เลขประจำตัวประชาชน|납세자번호|신분증|個人番号",
  "num[eé]ro de s[eé]cu|cnp-?ul(?: meu)?|sv-nummer|f[iİ]n(?: kod)?|cie n\\.?|r\\. ?č\\.|mati[cč]ni broj|szem[eé]lyi azonos[ií]t[oó]|ת\\.ז\\.?|pag-ibig mid(?: no\\.?)?|social security (?:number|no\\.?)|registro de identificaci[oó]n fiscal",
  "c[oó]digo [uú]nico de identificaci[oó]n tributaria|numri i identifikimit p[eë]r personin e tatuesh[eë]m|unique entity number|الرقم الضريبي|pievienot[aā]s v[eē]rt[iī]bas nodok[lļ]a",
  // Licences to drive.
  "dl ?#|driver'?s?'? (?:id|no\\.?)|fahrerlaubnis(?:nummer)?|permis(?: de conduire)?|permiso de conducir|carn[eé]t? de conducir|patente(?: di guida)?|licenza di guida|carta de condu[cç][aã]o|carteira (?:nacional de habilita[cç][aã]o|de motorista)|prawa? jazdy",
  "f[øo]rerkort(?:nummer)?|k[øo]rekort|k[øo]rekortnummer|k[öo]rkort(?:snummer)?|ajokort(?:ti|in numero)|rijbewijs(?:nummer)?|[rř]idi[cč]sk(?:[yý]|[eé]ho) pr[uů]kazu?|vodi[cč]sk[yý] preukaz|ehliyet|s[uü]r[uü]c[uü] belgesi|jogos[ií]tv[aá]ny|permis de conducere",
  "водительское удостоверение|водительского удостоверения|посвідчення водія|(?:運転)?免許証番号|驾驶证号?码?|駕照號碼|(?:운전)?면허번호|ใบขับขี่",
  // Vehicles, by their own number (ISO 3779).
  "vin|vehicle identification number|fahrgestellnummer|fin-nummer|num[eé]ro de ch[aâ]ssis|chassis number|numer vin(?: pojazdu)?|n[uú]mero de (?:bastidor|chasis)|numero di telaio|chassisnummer|onderstelnummer"
)

/** Plates of vehicles, whose numbers are short. */
export const plateWords = list(
  "licen[cs]e plate|number plate|(?:my|your|his|her|our|their) plate|plate ?:|vrm|registration plate|plate (?:number|no\\.?)|car plate|vehicle reg(?:istration)?|(?:my|your|his|her|car) reg|rego|kennzeichen|kfz-kennzeichen|autokennzeichen|autonummer|kraftfahrzeugkennzeichen|nummernschild|amtliches kennzeichen",
  "plaque(?: d'immatriculation)?|immatriculation|matr[ií]cula(?: del? (?:coche|carro|veh[ií]culo))?|placa d[eo] (?:carro|ve[ií]culo|autom[oó]vel)|targa|kenteken|nummerplaat|nummerplade|registreringsnummer|skiltnummer|rekisterinumero|rekisteritunnus|numer rejestracyjny|tablica rejestracyjna|regnr|nr rej\\.?|[sš]pz|registreerimisnumber|valstybinis numeris|plat nomor|e[cč]v|placas?|patente|plaka(?:s[iı]|m|n)?",
  "rendsz[aá]m|nr\\. [iî]nmatriculare|num[aă]r de [iî]nmatriculare|гос\\. ?номер|госномер|держномер|номер (?:автомобиля|машины)|номерн(?:ий|ой) знак|αριθμ[οό]ς κυκλοφορ[ιί]ας|πινακ[ιί]δα|bi[eể]n s[oố]|nomor polisi|no\\. polisi|車牌號?碼?|车牌号?码?|ナンバープレート|차량번호|ทะเบียนรถ|מספר רכב"
)

export const passportWords = list(
  "passports?|ppt no|travel document|paszport(?:u)?|reisepass(?:nummer)?|passnummer|pass-nr\\.?|passnr\\.?|pasnummer|paspoort(?:nummer)?|pasaporte|passeport|passaporto|passaporte|pasaport|paspor|pasport|pașaport|putovnica|putovnice|cestovn[ií] pas|cestovn[yý] pas|útlevél|passin numero|διαβατήριο|护照(?:号码?)?|護照|旅券番号|パスポート番号|여권|여권번호|หนังสือเดินทาง|گذرنامه",
  "pass ?-?nr\\.?|reisepass ?-?nr\\.?|passinumero|passin numero|[uú]tlev[eé]lsz[aá]m|[cč][ií]slo pasu|αριθμ[οό]ς διαβατηρ[ιί]ου|загранпаспорт|паспорта?(?: серии)?|серия и номер паспорта|여권 번호"
)

/** A date of birth. */
export const birthWords = list(
  "born(?: on)?|date of birth|birth ?date|birthday|dob|d\\.o\\.b\\.|data de nascimento|fecha de nacimiento|geburtsdatum|date de naissance|data di nascita|geboortedatum|født|född|urodzon(?:y|a|ym|ej)(?: dnia)?|geboren am|n[eé](?:e)? le",
  "fecha de nac\\.?|f\\. ?nac\\.?|nacido|nacida|nac[ií]|nascido|nascida|nasci|dn|nat[oa](?: a \\p{L}{2,24})?|geb\\.|geb\\.-dat\\.|geburtstag|geboren(?: am| op)?|f[øo]dt(?: den)?|f[øo]dselsdato|f[öo]delsedatum|f[öo]dd(?: den)?|syntym[aä]aika|synt\\.|syntynyt",
  "data urodzenia|ur\\.|urodzi[lł](?:em|am|a)? si[eę]|datum narozen[ií]|d[aá]tum narodenia|nar\\.|narozen[aý]?(?: dne)?|do[gğ]um tarihi(?:m)?|data na[sș]terii|n[aă]scut[aă]?(?: la)?|sz[uü]let[eé]si (?:d[aá]tum|id[oő])|sz[uü]letett|ng[aà]y sinh|tanggal lahir|tgl\\.? lahir",
  "дата рождения|дата народження|д\\.р\\.|родил(?:ся|ась)|ημερομην[ιί]α γ[εέ]ννησης|生年月日|誕生日は?|出生日期|生日|出生于|生于|생년월일|생일은?|วันเกิด|תאריך לידה|تاريخ الميلاد"
)

/** A postal code. */
export const postalWords = list(
  "zip|zip ?codes?|zipcodes?|postal codes?|postalcodes?|postcodes?|post ?codes?|eircode|plz|postleitzahl|code postal|codes postaux|c\\.p\\.|codice postale|cap|c[oó]digo postal|cep|postnummer|postnr\\.?",
  "postinumero|kod pocztowy|kodem pocztowym|psč|smerovacie [cč][ií]slo|ir[aá]ny[ií]t[oó]sz[aá]m|cod(?:ul)? po[sș]tal|po[sš]tanski broj|po[sš]tna [sš]tevilka|posta kodu|kode pos|m[aã] b[uư]u [dđ]i[eệ]n",
  "почтовый индекс|поштовий індекс|индекс|ταχυδρομικ[οό]ς κ[ωώ]δικας|τ\\.?κ\\.?|우편번호|邮编|邮政编码|郵遞區號|郵便番号|〒|รหัสไปรษณีย์|מיקוד|الرمز البريدي",
  "poskod|пощенски код|کد پستی"
)

/** An account at a bank, or a bank's code. */
export const bankWords = list(
  "bank account|account (?:number|no\\.?|#)|acct(?: number| no\\.?)?|checking account|savings account|routing (?:number|no\\.?)|aba|aba routing|transit number|sort code|bsb|ifsc|swift|bic|swift code|bic code|kontonummer|num[eé]ro de compte|cuenta|conto",
  "konto(?:-?nr\\.?)?|cont bancar|rtn|[cč]\\. ?[uú]\\.|kto\\.?(?:-nr\\.?)?|bankkonto|rib|compte bancaire|n° de compte|cuenta bancaria|cuenta corriente|n[uú]mero de cuenta|ccc|conto corrente|numero di conto|c\\/c|conta(?: corrente| banc[aá]ria)?|n[uú]mero da conta|nib|(?:bank)?rekening(?:nummer)?",
  "(?:numer|nr) (?:konta|rachunku)|rachunek bankowy|[cč][ií]slo [uú][cč]tu|tilinumero|bankgiro|plusgiro|hesap (?:no|numaras[iı])|s[oố] t[aà]i kho[aả]n|nomor rekening|no\\. rek\\.?|номер сч[её]та|расч[её]тный сч[её]т|р\\/с|номер рахунку",
  "αριθμ[οό]ς λογαριασμο[υύ]|口座番号|银行账号|銀行帳號|계좌번호|เลขที่บัญชี"
)
