/**
 * Street addresses as most of the world writes them: the number behind the street's name. What kind of street it is
 * stands in front (`Calle Mayor 86`), or at the end of the name (`Bergweg 93`); a word for
 * an address may say so as well.
 */

const set = (words: string): ReadonlySet<string> => new Set(words.split(" "))

/** How much a word in front says: 2 that a street follows, 1 that one may, since it is a word of other languages too. */
const kinds = new Map<string, number>([
  ...set(
    "ul. ulica ulicy aleja alei osiedle calle c/ avda. avda avenida paseo carrer carretera ctra. viale piazza piazzale vicolo lungomare rua travessa praça " +
      "praca alameda estrada rodovia strada bulevardul b-dul aleea șosea șoseaua nám. náměstí třída námestie ulice ул. улица улице проспект просп. переулок " +
      "бул. бульвар вул. вулиця λεωφόρος οδός rue chemin impasse jalan jl. " +
      "rambla ronda senda travesía glorieta contrada località incrocio rotonda rynek skwer urbanização beco viela ladeira praceta calçada droga szosa rondo bulw. plac wyb. наб. набережная " +
      "voie faubourg dreve drève soseaua intrarea drumul"
  )
].map((word) => [word, 2] as const))
for (
  const word of set(
    "via plaza plaça placa largo camino corso place avenue boulevard route allée quai pza. r. c. al. pl. os. av. str. bd. пр. пер. ш. trg borgo bairro quinta lugar riera passage square cours ал. аллея площадь проезд cesta"
  )
) kinds.set(word, 1)
/** Words inside a street's name that have no capital. */
const links = set(
  "de del la las los el da do dos das di della delle dei degli dell' du des le les św. gen. ks. im. w z na van von der dem den het ter ten y e i et å op aan in"
)
/** What a street's name may begin with where its kind is a part of its last word. */
const firsts = set(
  "alte alten alter altes neue neuen neuer lange langer kurze große grosse kleine kleiner obere oberer untere unterer innere äußere hohe hoher am an auf im in zum zur " +
    "der dem den gamla nya stora lilla norra södra östra västra store lille gamle nye øvre nedre oude nieuwe lange korte grote kleine van de het vanha iso"
)
/** The end of a street's name in German, Dutch, Swedish, Norwegian, Danish, Finnish and Hungarian. */
const suffixed =
  /(?!Briga|Renega|Kas?ka|Blo[ck]?ka|Barrika|(?:Arbeits|Sitz|Park|Speicher|Stell|Spiel|Stand|Start|Tabellen|Studien|Ausbildungs|Flug|Golf|Camping|Fußball|Listen)platz|(?:Bahn|Bürger)steig|(?:Lösungs|Brems|Feder|Fuß|Schul|Arbeits|Rechts|Aus|Um|Rück|Transport|Rettungs|Flucht|Dienst|Snel)weg|(?:Milch|Seiden|Einbahn)straße|Sackgasse|Sateenkaari|(?:Autos|S)nelweg|\p{L}{0,12}(?:on|un|in|u|ni|hi)str\.)\p{Lu}[\p{L}'’-]{2,28}(?:stra(?:ß|ss)e|str\.|platz|allee|gasse|damm|ufer|steig|chaussee|weg|straat|laan|plein|plantsoen|gracht|kade|singel|dijk|gatan|vägen|gränd(?:en)?|gärdet|torget|gata|gaten|stræti|vegur|veien|vegen|vei|sgate|vej|gaden?|vænget|stræde|katu|kaari|raitti|väylä|kuja|polku|rakpart|-(?:Straße|Strasse|Str\.|Ring|Weg|Platz|Allee|Gasse|Damm|Ufer|Chaussee))$/u
/** Kinds that are a word of their own behind the name, and how much they say. */
const behindName = new Map<string, number>([
  ...[
    "Straße",
    "Strasse",
    "Str.",
    "Gasse",
    "utca",
    "út",
    "útja",
    "rakpart",
    "körút",
    "krt.",
    "ул.",
    "улица",
    "площадь",
    "набережная",
    "переулок",
    "проспект",
    "шоссе",
    "бульвар",
    "проезд",
    "вулиця",
    "Sokak",
    "Sok.",
    "Sokağı",
    "Caddesi",
    "Cad.",
    "Bulvarı",
    "Mahallesi",
    "Gata",
    "Väg",
    "ulice",
    "cesta",
    "katu",
    "polku"
  ].map((word) => [word, 2] as const),
  ...["Platz", "Weg", "Allee", "tér", "tere", "аллея", "площадь", "проезд", "Gate", "Vei", "Vej"].map((word) =>
    [word, 1] as const
  )
])

const is = "(?:is|are|ist|lautet|es|est|è|é|jest|je|är|er|on|to)"
const noun =
  "(?:(?:\\p{L}{2,12})?adress(?:e|a|en)?(?: min)?|anschrift|wohnort|address(?:es)?|direcci[oó]n(?:es)?|domicilio|indirizzo|residenza|(?:\\p{L}{2,12})?adres(?:a|e|em|ă)?|endere[cç]o|morada|osoit(?:e|teeni)|lakc[ií]m|адрес[ау]?|διεύθυνση|địa chỉ|alamat|ship(?:ped|ping)? to|bill(?:ed|ing)? to|deliver(?:y|ed)? to)"
/** What sort of address, behind the word: `de envío`, `доставки`. */
const sort = "(?: (?:d[eiu] |da )?\\p{L}{3,12})?"
/** A word for an address, with a colon or a verb. */
const said = new RegExp(
  `(?:^|[^\\p{L}])${noun}(?:(?: ${is})?${sort} ?[:：]\\s{0,3}(?:[^\\n\\d]{2,48}\\n\\s{0,3})?|(?<=по адресу) | ${is} )$`,
  "iu"
)
/** What is called an address and is a machine's, and what is no street. */
const ofMachine =
  /(?:mac|ip|bus|base|start|memory|cell|i2c|e-?mail|web|physical|virtual|register) address|(?:Account|Port|Pool|Sheet|Page|Line|Level|Room|Slot|Block) $/i
/** Verbs of living somewhere. */
const lives =
  /(?:^|[^\p{L}])(?:viv[eo] (?:en|na)|bor (?:på|i)|wohn(?:t|e|en|haft) (?:in|an|am)(?: der| dem)?|woon(?:t)? (?:aan|op|in)|abit[ao] in|mor[ao] na|mieszkam?(?: przy| na)?|habite(?: au| à)?) $/iu
/** Verbs that have an address behind them, or something else. */
const hinted =
  /(?:^|[^\p{L}])(?:(?:lives?|living|resid(?:es?|ing)|stays?|staying|located|arrived|delivered|office is) (?:at|on|in)|(?:shipp?(?:ed|ing)?|deliver(?:ed|y)?|send(?: it| them| one)?|sent|moved|moving) to|wohn(?:t|e|en|haft) (?:in|an|am)(?: der| dem)?|habite(?: au| à)?|viv[eo] en|abit[ao] in|zamieszka[lł][yae]|mieszkam?(?: przy| na)?|woont (?:aan|op|in)|bor (?:på|i)|asuu|viv[eo] na|mor[ao] na|at|in|przy|na|an der|am) $/iu

const isLetter = (code: number): boolean =>
  (code >= 65 && code < 91) || (code >= 97 && code < 123) || code > 191 || code === 46 || code === 39 || code === 45 ||
  code === 47
const hasCapital = /^\p{Lu}/u

/** No street is called like a month or a day alone. */
const ofCalendar =
  /^(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?|(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?)[.,]?$/

/** `Avenida Mitre N° 431`, `проспект Мира, буд. 3`, `Atatürk Cad. No:12` */
const wordForNumber = / (?:(?:[nN][°º.]|[nN]r\.|[nN]o\.|[nN]úm\.|č\.|буд\.|д\.) |[nN]o: ?)$/

/** A street's name before its number. */
export interface StreetName {
  readonly start: number
  /** Whether it is one whatever follows. */
  readonly isSure: boolean
  /** Whether a word for an address stands before it. */
  readonly isSaid: boolean
  /** Whether it is a name, and nothing says that it is a street's. */
  readonly isBare?: true
}

/** Where the word begins that ends there. */
const beginOf = (text: string, end: number): number => {
  let from = end
  while (from > 0 && end - from < 30 && isLetter(text.charCodeAt(from - 1))) from--
  return from
}

/** The street's name that ends where a number begins, if one may stand there. */
export const streetNameBefore = (text: string, start: number): StreetName | undefined => {
  const isColon = text.charCodeAt(start - 1) === 58 && / [nN]o$/.test(text.slice(start - 4, start - 1))
  if (!isColon && text.charCodeAt(start - 1) !== 32) return undefined
  const sign = text.charCodeAt(start - 2)
  const isAbbreviated = isColon || sign === 46 || sign === 58 || sign === 176 || sign === 186
  const numberWord =
    (isAbbreviated ? wordForNumber.exec(text.slice(Math.max(0, start - 8), start))?.[0].length : undefined) ?? 1
  const end = text.charCodeAt(start - numberWord - 1) === 44 ? start - numberWord - 1 : start - numberWord
  let at = end
  let first = -1
  let points = 0
  for (let words = 0; words < 6; words++) {
    const from = beginOf(text, at)
    if (from === at) break
    const word = text.slice(from, at)
    const initial = word.charCodeAt(0)
    // Most numbers stand behind a word in small letters.
    if (words === 0 && initial > 96 && initial < 123 && !behindName.has(word)) return undefined
    const lower = word.toLowerCase()
    if (words === 0 && ofCalendar.test(word)) return undefined
    const own = words === 0 ? behindName.get(word) : undefined
    if (own !== undefined) points = own
    else if (words === 0 && suffixed.test(word)) return { start: withFirsts(text, from), isSure: true, isSaid: false }
    else if (first !== -1 && kinds.has(lower)) {
      points += kinds.get(lower) ?? 0
      first = from
      break
    } else if (hasCapital.test(word)) first = from
    else if (!links.has(lower)) break
    if (text.charCodeAt(from - 1) !== 32) break
    at = from - 1
  }
  if (first === -1) return undefined
  const behind = text.slice(Math.max(0, first - 40), first)
  const isTold = isSaid(text, first)
  points += isTold ? 2 : lives.test(behind) ? 2 : hinted.test(behind) ? 1 : 0
  return points === 0
    ? mayBeBare(text, first, end)
    : { start: first, isSure: points > 1, isSaid: isTold }
}

/** What has a number and is no street. */
const numbered =
  /(?:^|[\s\p{P}])(?:Section|Chapter|Figure|Fig|Table|Appendix|Version|Step|Page|Line|Part|Build|Room|Order|Invoice|Ticket|Case|Item|Node|Batch|Test|Phase|Stage|Level|Layer|Epoch|Round|Run|Job|Task|Shard|Worker|Thread|Class|Grade|Group|Team|Lot|Model|Series|Type|Unit|Port|Slot|Rev|Revision|Release|Issue|PR|Error|Code|Rule|Article|Art|Week|Day|Year|Kapitel|Seite|Zeile|Tabelle|Abbildung|Abschnitt|\p{L}*(?:nummer|number)|Nr)\.?$/iu
/** What stands before where something goes, or comes from. */
const toward = /(?:^|[^\p{L}])(?:to|from|at|an|nach|von|für|for|à|para|til|till|do|na)\s$/iu
/** A name before a number at the beginning of a line, behind a comma or a colon, or a word for a direction. */
const mayBeBare = (text: string, first: number, end: number): StreetName | undefined => {
  let at = first
  while (at > 0 && first - at < 4 && text.charCodeAt(at - 1) === 32) at--
  const before = text.charCodeAt(at - 1)
  const isBegun = at === 0 || before === 10 || before === 44 || before === 58 || before === 34 ||
    toward.test(text.slice(Math.max(0, first - 8), first))
  const name = text.slice(first, end)
  return isBegun && name.length >= 5 && !numbered.test(name)
    ? { start: first, isSure: false, isSaid: false, isBare: true }
    : undefined
}

/** Where a name begins with its adjectives: `Alte Poststraße`, `An der Lindenallee`. */
const withFirsts = (text: string, start: number): number => {
  let first = start
  for (let at = start, words = 0; words < 2 && text.charCodeAt(at - 1) === 32; words++) {
    const from = beginOf(text, at - 1)
    const word = text.slice(from, at - 1)
    if (!firsts.has(word.toLowerCase())) break
    if (hasCapital.test(word)) first = from
    at = from
  }
  return first
}

/** Last words of what says that an address follows, where no colon does. */
const verbs = set("is are ist lautet es est è é jest je är er on to адресу")

/** Whether a word for an address stands before a place. */
export const isSaid = (text: string, start: number): boolean => {
  let at = start
  while (at > 0 && start - at < 4 && text.charCodeAt(at - 1) === 32) at--
  const sign = text.charCodeAt(at - 1)
  if (sign !== 58 && sign !== 10 && sign !== 0xff1a && !verbs.has(text.slice(beginOf(text, at), at).toLowerCase())) {
    return false
  }
  const behind = text.slice(Math.max(0, start - 80), start)
  return said.test(behind) && !ofMachine.test(behind.slice(-32))
}
