/** Ids of persons, postal codes, dates of birth and addresses, of many countries: what is found, and what is left alone. */
import { assert, describe, it } from "@effect/vitest"
import { Pii } from "effect-audit/pii"

const found = (text: string) => Pii.scan(text).map((span) => text.slice(span.start, span.end))
/** Each text has this found in it, and nothing else. */
const finds = (kind: string, pairs: ReadonlyArray<readonly [text: string, value: string]>) => {
  for (const [text, value] of pairs) {
    assert.deepStrictEqual(
      Pii.scan(text).map((span) => [span.kind, text.slice(span.start, span.end)]),
      [[kind, value]],
      text
    )
  }
}
const kept = (...texts: ReadonlyArray<string>) => {
  for (const text of texts) assert.deepStrictEqual(found(text), [], text)
}

describe("ids that their form and check digits give away", () => {
  // Published examples; the last sign of each is its check, or part of it.
  const ids = [
    ["Finland", "131052-308T"],
    ["Finland", "010594Y9032"],
    ["Germany, pension", "15070649C103"],
    ["Korea", "960121-1021413"],
    ["Brazil, persons", "390.533.447-05"],
    ["Brazil, firms", "16.727.230/0001-97"],
    ["Chile", "12.531.909-2"],
    ["Argentina", "20-05536168-2"],
    ["Switzerland", "756.9217.0769.85"],
    ["Belgium", "85.07.30-033.28"],
    ["France", "2 95 10 99 126 111 93"],
    ["China", "360426199101010071"],
    ["Hong Kong", "A123456(3)"]
  ] as const

  it("are found without a word before them", () => {
    for (const [country, id] of ids) {
      assert.deepStrictEqual(found(`see ${id}, please`), [id], country)
      assert.deepStrictEqual(found(id), [id], country)
    }
  })

  it("and not where the check is wrong", () => {
    for (const [country, id] of ids) {
      const at = id.search(/\S\)?$/)
      const wrong = id[at] === "T" ? "V" : id[at] === "1" ? "2" : "1"
      assert.deepStrictEqual(found(`see ${id.slice(0, at)}${wrong}${id.slice(at + 1)}, please`), [], country)
    }
  })

  it("nor as part of something longer, nor on a day that does not exist", () => {
    kept(
      "310289-211C",
      "x-131052-308T",
      "131052-308TX",
      "invoice 710319/2745",
      "a12.531.909-2",
      "360426199113010071",
      "20-05536168-2-1"
    )
  })

  it("forms that nothing else has need no check", () => {
    finds("NATIONAL_ID", [
      ["paid by 912-90-3456", "912-90-3456"],
      ["GSTIN printed: 27AAPFU0939F1ZV", "27AAPFU0939F1ZV"],
      ["holder ACUPA7085R", "ACUPA7085R"],
      ["clave BOXW310820HNERXN09", "BOXW310820HNERXN09"],
      ["as printed, AB 12 34 56 C", "AB 12 34 56 C"]
    ])
    kept("ACUXA7085R", "part AB123456C", "00AAPFU0939F1ZV", "order 912-40-3456")
  })
})

describe("documents behind or before the word that names them", () => {
  it("in the languages of those who have them", () => {
    finds("PASSPORT", [
      ["Pass-Nr.: F12345671", "F12345671"],
      ["My passport is f01234567.", "f01234567"],
      ["AB1234567 is my passport number", "AB1234567"],
      ["use the pass AB1234567 is my passport number", "AB1234567"],
      ["AAA123456 es mi número de pasaporte", "AAA123456"],
      ["여권 번호 F56645211", "F56645211"]
    ])
    finds("NATIONAL_ID", [
      ["Personnummer 200228+5266", "200228+5266"],
      ["Versichertennummer A932287549", "A932287549"],
      ["Kørekort nr. 40455666", "40455666"],
      ["permiso de conducir: 68685854S", "68685854S"],
      ["VIN: 1HGCM82633A004352", "1HGCM82633A004352"],
      ["香港身份證 Q803337[0]", "Q803337[0]"]
    ])
    finds("DATE_OF_BIRTH", [
      ["Fødselsdato: 08. maj 1992", "08. maj 1992"],
      ["nata a Roma il 25 marzo 1975", "25 marzo 1975"],
      ["ur. 13-03-1957", "13-03-1957"],
      ["datum narození 22. 04. 1952", "22. 04. 1952"],
      ["生年月日：1976年07月19日", "1976年07月19日"],
      ["05.12.1949 года рождения", "05.12.1949"]
    ])
    finds("BANK_ACCOUNT", [
      ["Číslo účtu: 19-1769922189/0300", "19-1769922189/0300"],
      ["nr rachunku 698349096532564682536706", "698349096532564682536706"],
      ["conta corrente 31981-3", "31981-3"]
    ])
  })

  it("plates of vehicles, whose numbers are short", () => {
    finds("NATIONAL_ID", [
      ["Kennzeichen: M AB 12", "M AB 12"],
      ["number plate LN14-HGT", "LN14-HGT"],
      ["Targa: PG031WL", "PG031WL"],
      ["kenteken 65-FL-UO", "65-FL-UO"],
      ["My plate is 802 NMY", "802 NMY"],
      ["matrícula del coche 5171 LCF", "5171 LCF"],
      ["Госномер: K500MН 94", "K500MН 94"],
      ["πινακίδα YK 0202", "YK 0202"],
      ["biển số 33M-96229", "33M-96229"],
      ["車牌號碼：5449-KB", "5449-KB"]
    ])
    kept(
      "licence plate recognition v2",
      "plate B12 of the assay",
      "placa B450",
      "chapa A36",
      "plaque A5",
      "my plate is full, 12 of 20"
    )
    kept("epic PROJ-12345", "auth=1 rrn=191128011168")
  })

  it("and not what such words also mean", () => {
    kept(
      "Авторские права © 2004 – 2023",
      "50 c.c. 12345",
      "Flansch DN 50/40/32",
      "Version geb. 1.2.3",
      "plus GST 14400",
      "license number 12345",
      "RIB 12 34 56",
      "RFC 2617"
    )
  })
})

describe("postal codes", () => {
  it("are found behind their word in every form that a country gives them", () => {
    finds("POSTAL_CODE", [
      ["her zip is K4N 8L8", "K4N 8L8"],
      ["my postcode is SW1A 1AA", "SW1A 1AA"],
      ["Postcode: 3164 KC", "3164 KC"],
      ["kod pocztowy 00-950", "00-950"],
      ["PSČ 110 00", "110 00"],
      ["CEP 01310-100", "01310-100"],
      ["〒100-0001", "100-0001"],
      ["CAP 00184", "00184"],
      ["zipcode 1012 AB", "1012 AB"],
      ["postalCode: 80-123", "80-123"]
    ])
    kept("market cap 50000", "zip 2024 files", "unzip 12345", "PSC 0729 of the manual")
  })
})

describe("words that are written together, or stand behind each other", () => {
  it("name what follows", () => {
    finds("NATIONAL_ID", [
      ["SV-Nummer 3413120477", "3413120477"],
      ["číslo OP 93384638", "93384638"],
      ["my social security number is 85 07 30 033 28", "85 07 30 033 28"],
      ["Código Único de Identificación Tributaria 20040356437", "20040356437"],
      ["CNP-ul meu este 2511123449183", "2511123449183"]
    ])
    finds("BANK_ACCOUNT", [["bankrekening DLGZ1472233665", "DLGZ1472233665"], ["RTN: 108491650", "108491650"]])
    finds("POSTAL_CODE", [["CEP 39100000", "39100000"], ["מיקוד 3885500", "3885500"], [
      "postcode B1900ABC",
      "B1900ABC"
    ]])
    kept("zip 39100000 bytes", "geboren op 4 sites", "op 12345 of 20000")
  })
})

describe("values without a word of their own", () => {
  it("postal codes of the United Kingdom and Canada, by their form", () => {
    finds("POSTAL_CODE", [
      ["My address is SW1A 1AA in London", "SW1A 1AA"],
      ["M60 1NW", "M60 1NW"],
      ["ours is K1A 0B1", "K1A 0B1"]
    ])
    kept(
      "MacBook Air M1 8GB",
      "an S3 5GB bucket",
      "the W3 3RD day",
      "B2 2XL shirts",
      "Z1Z 2C3",
      "A1B-2C3",
      "E1 2FA codes"
    )
  })

  it("one of a list whose name stands before the first", () => {
    const text = "Passports: AB1234567, XY9876543 and ZZ1234567"
    assert.deepStrictEqual(
      Pii.scan(text).map(({ end, kind, start }) => [kind, text.slice(start, end)]),
      [["PASSPORT", "AB1234567"], ["PASSPORT", "XY9876543"], ["PASSPORT", "ZZ1234567"]]
    )
    kept("tracks AB1234567 and XY9876543", "runs 90071523179, 90071523180")
    // Another form is something else.
    finds("PASSPORT", [["Passport AB1234567, 20240115", "AB1234567"]])
  })

  it("with a date of birth in front of its name", () => {
    finds("NATIONAL_ID", [["19910924-2397 är mitt pnr.", "19910924-2397"]])
  })
})

describe("blocks of an address", () => {
  it("with a unit on a line of its own, quoted or in a list", () => {
    for (const lead of ["", " ", "> ", ">"]) {
      const block = ["34 Björkvägen 55", "Suite 988", "Getinge", "Sweden 37521"].join(`\n${lead}`)
      const text = `Kim Li\n${lead}${block}\n${lead}tel`
      assert.deepStrictEqual(found(text), [block], text)
      const small = `kim li\n${lead}${block.toLowerCase()}\n${lead}tel`
      assert.deepStrictEqual(found(small), [block.toLowerCase()], small)
    }
  })

  it("whose street nothing names but the postal code and the town behind it", () => {
    for (
      const address of [
        "Im Grunde 14, 77305 Manzdorf",
        "Nordvestpassagen 45, 7483 Bellinge",
        "Kaplická 702, 741 03 Bělá pod Bezdězem",
        "Josefa Houdka 589\n483 17 Štíty",
        "Auf dem Herberg 21a, 25270 Bad Michelleburg"
      ]
    ) {
      for (
        const text of [address, `Kim Li\n${address}`, `Notiz: ${address}.`, `an Kim, ${address}`, `goes to ${address}`]
      ) {
        assert.deepStrictEqual(found(text).map((value) => value.replace(/\.$/, "")), [address], text)
      }
    }
    kept(
      "Retry 3, 48213 Requests.",
      "Section 14, 77305 Words",
      "Windows Server 2019, 17763 Build",
      "Room 12, 2024 Meeting",
      "Level 3, 50000 Euro",
      "we saw Retry 3, 48213 Request"
    )
  })

  it("but not a firm's own in the head of a file", () => {
    kept(
      "write to the Free Software Foundation, Inc., 51 Franklin Street, Fifth Floor, Boston, MA 02110-1301 USA.",
      " * Foundation, Inc.,\n * 59 Temple Place, Suite 330, Boston, MA 02111-1307, USA"
    )
    for (
      const text of [
        "ship to Kim Li, 51 Franklin Street, Boston, MA 02110",
        "Ship to: Jane Doe, Acme LLC, 12 Main Street, Austin, TX 78701",
        "my address is c/o Smith Ltd., 12 Main Street",
        "Foundation, Inc., 3 customers: Jane Roe of Austin, TX 78701"
      ]
    ) assert.strictEqual(found(text).length, 1, text)
  })

  it("with the name before the number, whatever follows, and no more than that", () => {
    for (
      const [text, address] of [
        ["Musterstraße 5 Hinterhaus\n> Apt 4", "Musterstraße 5 Hinterhaus\n> Apt 4"],
        ["> 12 Main Street\n> Steinheim 32839", "12 Main Street\n> Steinheim 32839"],
        ["Ship to 12 Main Street\nSuite 400\nOrder 12345", "12 Main Street\nSuite 400"],
        ["12 Main Street\nUnit 4\nplease deliver before 1800", "12 Main Street\nUnit 4"],
        ["- 12 Main Street\n- Server 8080", "12 Main Street"],
        ["lives at 4 S9, Ganstraße 5 ind Suite 1", "4 S9, Ganstraße 5 ind Suite 1"]
      ] as const
    ) assert.deepStrictEqual(found(text), [address], text)
    kept("12 tests passed\n- unit 3 failed", "Grade 5 Math Curriculum\n- Unit 1: Fractions")
  })
})

describe("addresses", () => {
  it("with the number behind the street, its town and postal code", () => {
    finds("STREET_ADDRESS", [
      ["Lieferadresse: Bergweg 93, 61958 Hamburg", "Bergweg 93, 61958 Hamburg"],
      ["Calle Mayor 86, 61431 Sevilla", "Calle Mayor 86, 61431 Sevilla"],
      ["Via Roma 12, 00184 Roma", "Via Roma 12, 00184 Roma"],
      ["adres: ul. Piękna 8 m. 12, 00-549 Warszawa; dalej", "ul. Piękna 8 m. 12, 00-549 Warszawa"],
      ["Address: Keizersgracht 123, 1015 CJ Amsterdam", "Keizersgracht 123, 1015 CJ Amsterdam"],
      ["bei An der Lindenallee 5 im Hof", "An der Lindenallee 5"],
      ["Адрес: Енисейская улица, 781 кв. 681", "Енисейская улица, 781 кв. 681"],
      ["Avenida Mitre N° 431", "Avenida Mitre N° 431"],
      ["Gartnervej 3, 2713 Støvring", "Gartnervej 3, 2713 Støvring"]
    ])
  })

  it("with the number in front", () => {
    finds("STREET_ADDRESS", [
      ["173 Church Close, London B33 4HH", "173 Church Close, London B33 4HH"],
      ["12 Main Street\nSpringfield, IL 62704", "12 Main Street\nSpringfield, IL 62704"],
      ["Adresse : 60 Rue Saint-Denis, 79671 Nantes", "60 Rue Saint-Denis, 79671 Nantes"],
      ["12 bis, rue de la Paix", "12 bis, rue de la Paix"],
      ["write to PSC 4574, Box 8393\nAPO AA 81998", "PSC 4574, Box 8393\nAPO AA 81998"]
    ])
  })

  it("where words are not separated", () => {
    finds("STREET_ADDRESS", [
      ["住所は紀子市1丁目9番8号です。", "紀子市1丁目9番8号"],
      ["地址: 台北市自由路5號之7", "台北市自由路5號之7"],
      ["寄到朝阳区建国路88号3楼", "朝阳区建国路88号3楼"],
      ["서울특별시 강남구 테헤란로 152", "서울특별시 강남구 테헤란로 152"]
    ])
    kept("第5号", "共有12号房", "バージョン3番目", "3号線", "세종로 가는 길 5분", "在2024年12月")
  })

  it("whole in quotes behind a name that says so, in a log", () => {
    finds("STREET_ADDRESS", [
      ["order shipping_address=\"Amaliesvei 86\" ok", "Amaliesvei 86"],
      ["address: \"Istiklal Cad. No:12, Beyoglu\"", "Istiklal Cad. No:12, Beyoglu"],
      ["Atatürk Caddesi, No: 12", "Atatürk Caddesi, No: 12"]
    ])
    kept(
      "memory_address=\"page 3 of heap\"",
      "i2c_address: \"device 3 at bus 1\"",
      "cell_address=\"row 3 column 4\"",
      "address=\"port 8080 of the host\"",
      "billing_address=\"${STREET} 5\"",
      "delivery_address: \"https://x.example/a b 1\""
    )
  })

  it("not steps, versions, days, columns", () => {
    kept(
      "As shown in Figure 2, Panel A lists the values.",
      "in Summer 2024, Paris hosted",
      "am Ende 2020, Berlin",
      "Speicherplatz 20 GB",
      "Fußweg 5 Minuten",
      "Bremsweg 40 m",
      "Lösungsweg 2: Substitution",
      "Общая площадь 65 кв. м",
      "J'ai suivi 3 cours de Machine Learning",
      "2 places de Parking",
      "Blockade 3, Kaskade 4",
      "Table No:12",
      "Calle Pino:12",
      "Step 3, 2024 Edition",
      "Chrome 120 on Windows 10",
      "at Wed, 07 Dec 2022, 16:06:35",
      "in Doha September 12 2025 Reuters",
      "sent to Node 3",
      "lives on Port 8080",
      "Decade 5",
      "2 route Handlers, 4 square Meters, 1 place Order",
      "Brigade 5, Renegade 2",
      "via Gateway 5"
    )
  })
})

describe("cards", () => {
  it("are found before a card's code, a date, an address of a machine, another number", () => {
    for (const after of ["123", "12/27 123", "10.0.0.7", "078-05-1120", "+49 30 1234567"]) {
      assert.strictEqual(found(`paid 4111 1111 1111 1111 ${after}`)[0], "4111 1111 1111 1111", after)
    }
    for (
      const [text, ...rest] of [
        ["4111111111111111|12|2027|123", "12|2027", "123"],
        ["4111 1111 1111 1111 12/27 123", "12/27", "123"],
        ["4111111111111111, 12/2027, 123;", "12/2027", "123"],
        ["378282246310005;12/27;1234", "12/27", "1234"],
        ["4111-1111-1111-1111 123", "123"],
        ["4111111111111111 200 OK"],
        ["4111111111111111 2027"],
        ["4111111111111111 200 1541"],
        ["4111111111111112|12|2027|123"],
        ["4111111111111111 12/27/31"]
      ] as const
    ) {
      const spans = Pii.scan(text).filter(({ kind }) => kind === "CARD_EXPIRY" || kind === "CVV")
      assert.deepStrictEqual(spans.map(({ end, start }) => text.slice(start, end)), rest, text)
    }
    assert.deepStrictEqual(found("4111111111111111 123 Main Street"), ["4111111111111111", "123 Main Street"])
    assert.deepStrictEqual(found("+49 30 1234567 192.168.1.7"), ["+49 30 1234567", "192.168.1.7"])
  })
})

describe("hostile texts", () => {
  it("of hyphens, and of words joined by them, end", () => {
    for (const unit of ["-", "-x", "my-long-slug-", "--flag"]) kept(unit.repeat(400_000 / unit.length))
  }, 20_000)

  /** Work grows with length: were it to grow with 2^words, none of these would end. */
  it("of many words joined by hyphens behind a street end", () => {
    const word = `A${"-A".repeat(11)} `
    assert.deepStrictEqual(found(`Bergweg 93 ${word.repeat(400)}`)[0]?.startsWith("Bergweg 93"), true)
    assert.deepStrictEqual(found(`Main sequence at Exon 5 ${"A-T-G-C-C-A-T-G ".repeat(400)}`), [])
  })
})
