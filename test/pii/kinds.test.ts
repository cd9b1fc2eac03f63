/** Kinds and spellings beyond the common ones: encoded addresses, devices, cards' dates, cookies, other scripts, and what a policy asks for. */
import { assert, describe, it } from "@effect/vitest"
import { Pii, type Policy } from "effect-audit/pii"
import * as Schema from "effect/Schema"
import { generateKeyPairSync, type KeyObject } from "node:crypto"

const stripped = (text: string, policy?: Policy.Policy) => Pii.strip(text, { policy }).value
const becomes = (pairs: ReadonlyArray<readonly [text: string, wanted: string]>, policy?: Policy.Policy) => {
  for (const [text, wanted] of pairs) assert.strictEqual(stripped(text, policy), wanted)
}
const kept = (...texts: ReadonlyArray<string>) => becomes(texts.map((text) => [text, text]))

describe("addresses in other letters", () => {
  const local = Schema.String.check(Schema.isPattern(/^[a-z][a-z0-9._]{0,20}[a-z0-9]$/))
  const domain = Schema.String.check(Schema.isPattern(/^[a-z0-9]{2,20}\.(?:com|org|co\.uk|pl)$/))

  it.prop("are found in hexadecimal digits and base64", { name: local, host: domain }, ({ host, name }) => {
    const address = `${name}@${host}`
    for (const encoding of ["hex", "base64", "base64url"] as const) {
      const word = Buffer.from(address).toString(encoding)
      if (word.replace(/=+$/, "").length < 14) continue
      assert.strictEqual(stripped(`of ${word}, then`), "of [EMAIL], then")
      assert.strictEqual(stripped(word), "[EMAIL]")
    }
  })

  it("but not where the text is another one", () => {
    const base64 = (text: string) => Buffer.from(text).toString("base64")
    kept(
      base64("nothing to see at all"),
      base64("meet@"),
      `id ${Buffer.from("plain words here").toString("hex")}`,
      "QAQAQAQAQAQAQAQA",
      "4040404040404040"
    )
  })
})

describe("devices and cards", () => {
  it("an IMEI is found behind its word, with its check digit, in pieces or not", () => {
    becomes([
      ["IMEI: 490154203237518", "IMEI: [IMEI]"],
      ["imei number 49-015420-323751-8 of", "imei number [IMEI] of"],
      ["IMEISV 4901542032375101", "IMEISV [IMEI]"]
    ])
    kept("IMEI: 490154203237519", "serial 490154203237518")
    assert.deepStrictEqual(Pii.strip({ imei: "490154203237518" }).value, { imei: "[IMEI]" })
  })

  it("the date of a card is found near a card, and no other date", () => {
    becomes([
      ["card 4111 1111 1111 1111 exp 12/27", "card [CREDIT_CARD] exp [CARD_EXPIRY]"],
      ["Visa, valid thru: 09/2028", "Visa, valid thru: [CARD_EXPIRY]"]
    ])
    kept("the certificate expires 12/2027", "card 13/27", "exp 12/27 of the offer")
    assert.deepStrictEqual(Pii.strip({ card: { exp_month: 12, exp_year: 2028 } }).value, {
      card: { exp_month: "[CARD_EXPIRY]", exp_year: "[CARD_EXPIRY]" }
    })
  })
})

describe("secrets where a name does not stand right before them", () => {
  it("cookies of any name", () => {
    becomes([
      ["Cookie: theme=dark; s3ss=abcdef123; lang=en", "Cookie: theme="],
      ["Set-Cookie: sid=abc123def; Path=/; HttpOnly", "Set-Cookie: sid=; Path=/; HttpOnly"],
      ["curl -H 'Cookie: a=b1; c=d2' https://example.org", "curl -H 'Cookie: a=' https://example.org"]
    ])
    kept("Cookie: ${NAME}=${VALUE}", "cookie = parse(header)")
  })

  it("values below their name, as YAML has them, to the end of the block and no further", () => {
    becomes([
      ["password: |\n  hunter2 abc\n  def\nuser: kim", "password: |\n  \nuser: kim"],
      ["  secret_key: >-\n    line1-abcdef\n    line2\n  other: x", "  secret_key: >-\n    \n  other: x"]
    ])
    kept("password: |\nuser: kim", "password: |\n  {{ vault_password }}\nuser: kim", "password: |\n")
  })

  it("statements and lines that name them by a word", () => {
    becomes([
      ["CREATE USER kim IDENTIFIED BY 'hunter2!'", "CREATE USER kim IDENTIFIED BY ''"],
      ["IDENTIFIED WITH mysql_native_password BY 'abc123'", "IDENTIFIED WITH mysql_native_password BY ''"],
      ["requirepass foobared1", "requirepass "],
      ["masterauth s3cret99", "masterauth "]
    ])
    kept("they were identified by their badges", "identified by name")
  })

  it("elements whose attribute names them", () => {
    becomes([
      ["<string name=\"api_key\">abcd1234efgh5678</string>", "<string name=\"api_key\"></string>"],
      ["<entry key=\"db.password\">hunter2</entry>", "<entry key=\"db.password\"></entry>"]
    ])
    kept("<property name=\"user\">kim</property>", "<label id=\"password\">Password</label>")
  })

  it("a password that goes on behind a sign, and nothing of what follows one", () => {
    becomes([
      ["password=ab;cd#ef", "password="],
      ["DB_PASSWORD=a1b;c&2x", "DB_PASSWORD="],
      ["Server=x;Password=abc1;Database=y", "Server=x;Password=;Database=y"],
      ["https://x/?password=abc1&next=2", "https://x/?password=&next=2"],
      ["pwd=hunter2;ls", "pwd=;ls"]
    ])
  })

  it("names in other scripts and languages", () => {
    for (
      const name of [
        "пароль",
        "我的密码",
        "パスワード",
        "비밀번호",
        "mật khẩu",
        "şifre",
        "hasło",
        "contraseña",
        "كلمة المرور"
      ]
    ) becomes([[`${name}: qwer1234`, `${name}: `]])
    assert.deepStrictEqual(Pii.strip({ пароль: "hunter2", прочее: "x" }).value, { пароль: null, прочее: "x" })
    kept("слово: пример", "词语:例子")
  })
})

describe("private keys that no marker stands around", () => {
  const keys = [
    generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey,
    generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey,
    generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey,
    generateKeyPairSync("ed25519").privateKey
  ]
  const secret = { cipher: "aes-256-cbc", passphrase: "x" }
  const der = (key: KeyObject) => [
    key.export({ format: "der", type: "pkcs8" }),
    key.export({ format: "der", type: "pkcs8", ...secret }),
    ...key.asymmetricKeyType === "rsa" ? [key.export({ format: "der", type: "pkcs1" })] : [],
    ...key.asymmetricKeyType === "ec" ? [key.export({ format: "der", type: "sec1" })] : []
  ]

  it("are found in base64, in one piece and in lines", () => {
    for (const bytes of keys.flatMap(der)) {
      const text = bytes.toString("base64")
      assert.strictEqual(stripped(`key ${text} end`), "key  end")
      assert.match(String(stripped(text.replace(/.{64}/g, "$&\n"))), /^\n?$/)
    }
  })

  it("and a public one is not", () => {
    const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 })
    kept(`key material ${publicKey.export({ format: "der", type: "spki" }).toString("base64")}`)
  })
})

describe("what a policy asks for by name", () => {
  const asked = { kinds: { COORDINATES: "mask", USER_NAME: "mask", CERTIFICATE: "drop" } } as const

  it("places, names of users and certificates are looked for only then", () => {
    const pairs = [
      ["at 52.229676, 21.012229 now", "at [COORDINATES] now"],
      ["POINT(21.012229 52.229676)", "POINT([COORDINATES])"],
      ["in /Users/kim/notes and /home/anna.k", "in /Users/[USER_NAME]/notes and /home/[USER_NAME]"],
      [String.raw`C:\Users\Anna\x`, String.raw`C:\Users\[USER_NAME]\x`],
      ["a -----BEGIN CERTIFICATE-----\nMIIabc\n-----END CERTIFICATE----- b", "a  b"]
    ] as const
    becomes(pairs, asked)
    kept(...pairs.map(([text]) => text))
  })

  it("and by the names of keys", () => {
    const value = { lat: 52.229676, lng: 21.0122, username: "kim", zoom: 1.61803398, plat: 12.123456, login: true }
    assert.deepStrictEqual(Pii.strip(value, { policy: asked }).value, {
      ...value,
      lat: "[COORDINATES]",
      lng: "[COORDINATES]",
      username: "[USER_NAME]"
    })
    assert.deepStrictEqual(Pii.strip(value).value, value)
  })

  it("for the tenant that asks, and not for a general treatment", () => {
    const text = "/home/kim/x"
    const policy = { tenants: { acme: asked } } as const
    assert.strictEqual(Pii.strip(text, { policy, tenantId: "acme" }).value, "/home/[USER_NAME]/x")
    assert.strictEqual(Pii.strip(text, { policy, tenantId: "other" }).value, text)
    assert.strictEqual(stripped(text, { default: "mask" }), text)
  })

  it("homes that are nobody's, versions and rounded places stay", () => {
    for (const text of ["/home/runner/work", "/Users/Shared/x", "52.22, 21.01", "1.23456 and 2.3", "/api/home/kim"]) {
      assert.strictEqual(stripped(text, asked), text)
    }
  })
})

describe("secrets in calls, addresses and encodings", () => {
  it("behind the name in a call that takes both, and beside the id of an access key", () => {
    becomes([
      ["new NetworkCredential(\"cidownload\", \"AP7Jx9kq2\")", "new NetworkCredential(\"cidownload\", \"\")"],
      ["define('AUTH_KEY', 'kz;k$F_-W68 Fl*iEekX;-pn =fNS(;c9nDKt')", "define('AUTH_KEY', '')"],
      ["CREATE ROLE app LOGIN PASSWORD SqLpa5sW0rD;", "CREATE ROLE app LOGIN PASSWORD ;"],
      ["AKIAF6BAFJKR45SAWSZ5: hjshnk5ex5u34565AWS654/JKGjhz545d89sjkja", ": "]
    ])
    kept("new Point(\"kim\", \"AP7Jx9kq2\")", "define('ABSPATH', '/var/www/html/site')", "sonar.login=admin")
  })

  it("in the path of an address that is a key itself", () => {
    becomes([
      ["at https://mainnet.infura.io/v3/05c12b07721045d2824c506f3aef90c2 now", "at  now"],
      ["https://chat.example.org/hooks/bh5q3yjrufdr7z68nt1msp8oqr", ""]
    ])
    kept("https://example.org/hooks/on-push", "https://docs.infura.io/v3/getting-started")
  })

  it("compared with what is so called, and on a line whose brackets do not match", () => {
    becomes([
      ["if (\"S3cret!pw\" != my_password) {", "if (\"\" != my_password) {"],
      ["if ('h2nter_two' === user.secret) {", "if ('' === user.secret) {"],
      ["apikey = m{{h}o)p${e]nob(ody[it>-_$#x}}\nnext: 1", "apikey = \nnext: 1"]
    ])
    kept(
      "if (\"required\" === token) {",
      "if (\"v2.1\" == version) {",
      "secret: f({a:[b,c]}).x(y=>z)",
      "token: x)});",
      "password = foo({"
    )
  })

  it("with signs inside, and with spaces inside the quotes", () => {
    becomes([
      ["my password is *4%hL_*HJ3Lj7A4_KB", "my password is "],
      ["WLAN Passwort - 5: Sommer2024x", "WLAN Passwort - 5: "],
      ["netlify_token: pzw5kl-rx9p13=ymwggw-abcdefg12345", "netlify_token: "],
      ["token = ' V77f640DIDmrPcYFMwCKPhAR7CkXDwXj '", "token = '  '"]
    ])
    kept(
      "the password is **bold**",
      "password: *dbPassword1",
      "passwd = *newPasswd1;",
      "password= user=kim7",
      "token: page=2 size=100"
    )
  })

  it("private keys that were encoded once more", () => {
    const pem = String(generateKeyPairSync("ed25519").privateKey.export({ format: "pem", type: "pkcs8" }))
    const encoded = Buffer.from(pem).toString("base64")
    assert.strictEqual(stripped(`tls.key: ${encoded}\nother: x`), "tls.key: \nother: x")
    kept(Buffer.from("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n").toString("base64"))
  })
})
