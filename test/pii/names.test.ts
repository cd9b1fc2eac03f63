/** Names of persons in free text: what the detector of its own entry finds, and what it leaves alone. */
import { assert, describe, it } from "@effect/vitest"
import { Pii } from "effect-audit/pii"
import { Names } from "effect-audit/pii/names"

const detectors = [Names.detector]
const stripped = (text: string) => Pii.strip(text, { detectors }).value

describe("names of persons", () => {
  it("are found by a known given name, with what follows it", () => {
    for (
      const [text, wanted] of [
        ["Yesterday Maria Gonzalez called about her order.", "Yesterday [PERSON_NAME] called about her order."],
        ["We met Kwame and Ngozi Okafor there.", "We met [PERSON_NAME] and [PERSON_NAME] there."],
        ["Ludwig van Beethoven's ninth", "[PERSON_NAME]'s ninth"],
        ["Jürgen Müller hat unterschrieben.", "[PERSON_NAME] hat unterschrieben."],
        ["Mark Thompson agreed.", "[PERSON_NAME] agreed."]
      ] as const
    ) assert.strictEqual(stripped(text), wanted)
  })

  it("are found after a title and after words that say so, whatever they are", () => {
    for (
      const [text, wanted] of [
        ["Please ask Dr. Xylander about it.", "Please ask Dr. [PERSON_NAME] about it."],
        ["Mrs Quirke signed.", "Mrs [PERSON_NAME] signed."],
        ["Dear Zorblax, thank you.", "Dear [PERSON_NAME], thank you."],
        ["hello, my name is tracy wood and I forgot it", "hello, my name is [PERSON_NAME] and I forgot it"],
        ["Regards, Xanthe Qworl", "Regards, [PERSON_NAME]"]
      ] as const
    ) assert.strictEqual(stripped(text), wanted)
  })

  it("are found by a surname: of a list of them, behind a word that is none, or by how it ends", () => {
    for (
      const [text, wanted] of [
        ["It was sent to Xolani Kowalczyk today.", "It was sent to [PERSON_NAME] today."],
        ["Xolani Kowalczyk\nThird floor", "[PERSON_NAME]\nThird floor"],
        ["> Quillon Schmidt\n> Hall 4", "> [PERSON_NAME]\n> Hall 4"],
        ["a letter of Hrafnsdóttir, and one of Kovalenko", "a letter of [PERSON_NAME], and one of [PERSON_NAME]"],
        ["It was signed by Tvrtko Ilić-Babić.", "It was signed by [PERSON_NAME]."]
      ] as const
    ) assert.strictEqual(stripped(text), wanted)
  })

  it("are found in a list, where their neighbours say what they are", () => {
    for (
      const [text, wanted] of [
        ["They are Emma, Mark and Daisy.", "They are [PERSON_NAME], [PERSON_NAME] and [PERSON_NAME]."],
        [
          "our founders: Kowalczyk, Schmidt and Gonzalez",
          "our founders: [PERSON_NAME], [PERSON_NAME] and [PERSON_NAME]"
        ],
        ["Schmidt and Gonzalez were first.", "[PERSON_NAME] and [PERSON_NAME] were first."],
        ["Emma, Zorblax, and Daniel came", "[PERSON_NAME], [PERSON_NAME], and [PERSON_NAME] came"],
        ["sent to emma, daniel and maria", "sent to [PERSON_NAME], [PERSON_NAME] and [PERSON_NAME]"]
      ] as const
    ) assert.strictEqual(stripped(text), wanted)
  })

  it("are found in small letters where given name and surname stand together, and before what they say", () => {
    for (
      const [text, wanted] of [
        ["please call maria gonzalez back", "please call [PERSON_NAME] back"],
        ["Maria: I will.\nEmma: \"Yes\"", "[PERSON_NAME]: I will.\n[PERSON_NAME]: \"Yes\""],
        ["it is Maria\\'s", "it is [PERSON_NAME]\\'s"]
      ] as const
    ) assert.strictEqual(stripped(text), wanted)
  })

  it("are in all Latin letters, behind several titles, and stop before what is none", () => {
    for (
      const [text, wanted] of [
        ["Łukasz Nowak and Željko Marić wrote.", "[PERSON_NAME] and [PERSON_NAME] wrote."],
        ["Jose\u0301 Gonzalez wrote.", "[PERSON_NAME] wrote."],
        ["Sehr geehrter Herr Prof. Dr. Vogel", "Sehr geehrter Herr Prof. Dr. [PERSON_NAME]"],
        ["Il signor Caruso, pani Kowalczyk", "Il signor [PERSON_NAME], pani [PERSON_NAME]"],
        ["Contact Anna Smith@example.com now", "Contact [PERSON_NAME] [EMAIL] now"],
        ["see Anna Smith.pdf", "see [PERSON_NAME] Smith.pdf"],
        ["It was approved by Zorblax Qworl.", "It was approved by [PERSON_NAME]."],
        ["my name is zorblax", "my name is [PERSON_NAME]"]
      ] as const
    ) assert.strictEqual(stripped(text), wanted)
    const many = `${"anna, ".repeat(300_000)}and maria`
    assert.isAbove(Names.detector(many).length, 300_000)
  })

  it("are looked for beside other findings, of which none is cut", () => {
    const cut = (from: string, kind: typeof Names.kind) => (text: string) => {
      const start = text.indexOf(from)
      return start === -1 ? [] : [{ start, end: start + from.length, kind }]
    }
    const text = "of kim@example.com"
    const of = (part: string) => Pii.strip(text, { detectors: [cut(part, Names.kind)] }).value
    assert.strictEqual(of("of kim"), "[PERSON_NAME][EMAIL]")
    assert.strictEqual(of("kim"), "of [EMAIL]")
    assert.strictEqual(of("of kim@example.com"), "[PERSON_NAME]")
    assert.strictEqual(of("example"), "of [EMAIL]")
  })

  it("are not places, firms, months, code, or words", () => {
    for (
      const text of [
        "The flight to San Diego leaves from Charlotte Airport.",
        "Morgan Stanley and the Johns Hopkins University agreed.",
        "On September 2 the release was cut.",
        "Will you mark the invoice as paid? Grace period ends in May.",
        "const user = Emma(); load(\"/srv/Daniel/x\"); Robert.base = maria_key",
        "Dear Customer, Dear Team, Hi All",
        "my name is not in the list",
        "GET /users/Emma/profile HTTP/1.1",
        "Don't call before June.",
        "Schmidt, Kowalczyk and Gonzalez Consulting",
        "It is 17 Joaquin Suarez 2906, Montevideo.",
        "Under Schmidt the rule was changed.",
        "red, green and blue; Monday, Tuesday and Friday; Paris, London and Berlin",
        "Alpha, Beta and Gamma; Apache, Nginx and Caddy",
        "the Schmidt Foundation; Supernova and Himalayan",
        "maria db, emma.gonzalez(), maria_gonzalez",
        "retries: Maria_1, host: 3",
        "I'm German, she said Tuesday, approved by Finance, created by Grafana, this is Linux",
        "Grant Permissions To Role; Bill Payment History; June Price List",
        "my name is wrong on the invoice; my name is spelled wrong",
        "Dear Residents, Dear Students, Herr Doktor",
        "Johnson & Johnson; San Jose is far; St. Louis; Port Elizabeth; Hurricane Katrina",
        "Tue Jan 24 10:22:01; Fifth Floor, Boston, MA  02110",
        "const Anna = new User(); import Alice from './alice'"
      ]
    ) assert.strictEqual(stripped(text), text)
  })

  it("are of a kind that a policy can name, and are found only where the detector is given", () => {
    const text = "Approved by Maria Gonzalez."
    assert.strictEqual(Pii.strip(text).value, text)
    const { counts, value } = Pii.strip(text, { detectors, policy: { kinds: { PERSON_NAME: "drop" } } })
    assert.strictEqual(value, "Approved by .")
    assert.strictEqual(counts.get(Names.kind), 1)
  })
})
