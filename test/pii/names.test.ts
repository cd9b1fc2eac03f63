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
        "Don't call before June."
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
