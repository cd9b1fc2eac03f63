/**
 * What the name of a key says about its value.
 *
 * Names are compared by whole words: `userEmail`, `user_email` and `USER-EMAIL` are `user email`.
 */
import type { Kind } from "./Kind.ts"

const names: ReadonlyArray<readonly [Kind, string]> = [
  [
    "PASSWORD",
    `password, passwd, pwd, pswd, pswrd, passwrd, pasword, paswd, psswrd, unseal key, passphrase, passcode, pass word, user pass, db pass, pass, pw, pin, pin code,
    secret, secrets, api key, apikey, api token, refresh token, auth token, id token, bearer token, csrf token,
    token, authorization, proxy authorization, bearer, client secret, private key, secret key, access key,
    encryption key, signing key, shared key, credential, credentials, webhook secret, app secret, x api key, auth, private token,
    bot token, deploy key, license key, consumer secret, api secret, otp, one time password, totp secret, mfa secret,
    x auth token, x vault token, personal access token, secret token, recovery code, backup code, password confirm, password confirmation, pgpassword,
    otp code, verification code, mfa code, totp, jwt, master key, ssh key, hmac key, security answer, pin number, new password,
    old password, current password, passwords, api keys, passwort, kennwort, contrasena, mot de passe, senha, haslo, wachtwoord,
    repeat password, confirm password, csrf, xsrf, csrf middleware token, two factor code, two factor secret, otp secret, otp attempt, otp seed,
    recovery codes, backup codes, security question, secret question, secret answer, question answer, seed phrase, mnemonic, mnemonic phrase, recovery phrase, phone code,
    refresh token, app token, user token, device token, push token, service token, sso token, saml response, saml assertion, magic link, oauth token, auth header,
    authorization code, functions key, auth key, crypt key, gpg key, pgp key, priv key, tls key,
    пароль, ключ доступа, секретный ключ, токен, токен доступа, лозинка, 密码, 密碼, 口令, 密钥, 金鑰, 令牌, パスワード, 暗証番号, 秘密鍵, 비밀번호, 암호, 인증키,
    كلمة المرور, كلمة السر, סיסמה, סיסמא, κωδικός πρόσβασης, รหัสผ่าน, पासवर्ड, mật khẩu, hasło, heslo, jelszó, şifre, lösenord, salasana, adgangskode, passord,
    contraseña, clave secreta, clave de acceso, palavra passe, senha de acesso, lozinka, geslo, slaptažodis, parool, lykilorð, kata sandi,
    signature key, session secret, cookie secret, jwt secret, key material, pem file, private key pem, kubeconfig,
    two factor, authentication, pass hash, certificate pin, service account credentials, bcrypt, x functions key, ocp apim subscription key, passw0rd, pass phrase, pgp private key, db password, db passwd, db pwd, root password, admin password, smtp password`
  ],
  [
    "SECRET",
    `access token, secret access key, aws secret access key, aws secret key, sig,
    x amz signature, x goog signature, x hub signature 256, x hub signature, stripe signature, x signature, request signature, api signature, signature,
    secret string, secret binary, secret key base, database url, db url, redis url, mongo url, mongo uri, mongodb uri, mongodb url, postgres url, postgresql url, mysql url,
    amqp url, broker url, dsn, webhook url, slack webhook url, connection uri, x amz security token, account key, shared access key, shared access signature,
    connection string`
  ],
  [
    "CVV",
    "cvv, cvv2, cvc, cvc2, ccv, csc, cid code, security no, card code, cc cvv, cc cvc, card security number, card security code, security code, card verification value, card cvv, card cvc, cvv code, cvv number, cvc code"
  ],
  [
    "COOKIE",
    `cookie, cookies, set cookie, session id, sessionid, session key, session token, session cookie, connect sid,
    jsessionid, phpsessid, session data, user session, session value, asp net session id, connect sid, xsrf token cookie`
  ],
  ["EMAIL", "email, e mail, mail, email address, mail address, emails, mail to, reply to, cc email, bcc"],
  [
    "PHONE",
    `phone, phone number, mobile, mobile number, mobile phone, telephone, tel, fax, fax number, cell, cell phone, cellphone,
    msisdn, phonenumber, home phone, work phone, whatsapp, contact tel, phone e164, contact number, phone no, mobile no, telephone number, cell number,
    whatsapp number, phone num, mobile num, telefon, telefono, telefone, handy, celular, landline, home phone number, work phone number, day phone, evening phone,
    phone number formatted, sms number, emergency contact phone`
  ],
  [
    "CREDIT_CARD",
    `card number, cardnumber, credit card, creditcard, credit card number, debit card, pan, cc number, ccnum, card no,
    card num, primary account number, payment card, ccn, cc num, cc, card, credit card no, card pan, credit card num`
  ],
  ["IBAN", "iban"],
  [
    "BANK_ACCOUNT",
    `account number, bank account, bank account number, routing number, sort code, account no, accountnumber, bank routing number, routing no, aba, aba number,
    clabe, bsb, ifsc, ifsc code, upi id, account num, acct number, acct no, bank account no, kontonummer, swift, swift code, bic, bic code, bank code`
  ],
  [
    "US_SSN",
    "ssn, social security number, social security, us ssn, ssn number, social security no, ssn last four, ssn last 4, ssn4"
  ],
  [
    "NATIONAL_ID",
    `national id, tax id, tax number, tin, nin, nino, cpf, pesel, dni, nie, aadhaar, aadhar, sin, nif, national insurance number,
    national id number, identity number, personal id, itin, identity card, id card number, personnummer, bsn, cnpj, tax id number, aadhaar number, pan number,
    national insurance, vat id, id number, curp, cuit, cuil, cnic, npwp, gstin, ppsn, bvn, hkid, nric, fin number, jmbg,
    rodne cislo, henkilotunnus, hetu, fodselsnummer, cpr number, isikukood, asmens kodas, personas kods, steuer id, steuernummer, insee, codice fiscale,
    tax file number, tfn, social insurance number, resident registration number, citizen id, citizen number, personal number, personal id number, taxpayer id,
    taxpayer identification number, tax identification number, vat number, vat no, national identification number, voter id, voter number, nhs number, medicare number, medical record number,
    mrn, health insurance number, health card number, insurance number, patient id, drivers license, driver license, drivers license number, driver license number,
    driving licence, driving licence number, driving license, license number, licence number, rg number, id card, vin, vehicle identification number, license plate, licence plate, number plate, plate number, registration plate, vehicle registration, vehicle registration number,
    kennzeichen, kenteken, document vatid, tax code, fiscal code, social number`
  ],
  [
    "PASSPORT",
    "passport, passport number, passport no, passport id, travel document, travel document number, passport num, document number"
  ],
  [
    "DATE_OF_BIRTH",
    "dob, birth date, birthdate, date of birth, birth, born at, birth dt, data nascimento, data de nascimento, geburtsdatum, fecha nacimiento, fecha de nacimiento, date naissance, birthday, born on, birth day, born, d o b, bday"
  ],
  [
    "STREET_ADDRESS",
    `address, street, street address, address line, address line1, address line2, address line 1, address line 2,
    home address, endereco, direccion, adresse, address details, billing address, shipping address, postal address, street name, delivery address, mailing address, line1, line2, addr line1,
    anschrift, strasse, lieferadresse, rechnungsadresse, indirizzo, adres, adresa, calle, rue, ulica, logradouro, morada, domicilio, osoite, adress`
  ],
  [
    "POSTAL_CODE",
    "zip, zip code, zipcode, postal code, postalcode, postcode, post code, plz, cep, codigo postal, postleitzahl, code postal, codice postale, kod pocztowy, postnummer, postinumero, eircode, zip5, postal"
  ],
  [
    "IP",
    "ip, ip address, ip addr, x real ip, forwarded for, real ip, true client ip, cf connecting ip, user ip, client ip address, client ip, remote ip, remote addr, x forwarded for, source ip, ipv4, ipv6, ipaddress, peer ip"
  ],
  ["MAC", "mac, mac address, mac addr, macaddress, hwaddr, hw addr, hardware address"],
  ["IMEI", "imei, imei number, imei no, imeisv, meid"],
  [
    "CARD_EXPIRY",
    "card expiry, card expiration, card expiry date, card expiration date, card exp, cc exp, cc expiry, cc expiration, card exp month, card exp year, exp month, exp year, expiry month, expiry year, expiration month, expiration year, card valid thru"
  ],
  ["CRYPTO_ADDRESS", "wallet address, btc address, eth address, crypto address"],
  [
    "PERSON",
    `first name, firstname, last name, lastname, full name, fullname, given name, family name, surname, middle name,
    maiden name, patient name, customer name, contact name, cardholder, cardholder name, card holder, account holder, holder name,
    forename, person name, real name, legal name, given names, employee name, recipient name, fname, lname, name on card,
    beneficiary name, sender name, passenger name, guest name, name first, name last, name middle, nombre, apellido, apellidos, vorname, nachname, nome completo, cc name,
    card name, account name, account holder name, nickname of person, mothers maiden name, mother maiden name,
    owner name, preferred name, contact person`
  ]
]

const byName = new Map<string, Kind>(
  names.flatMap(([kind, list]) => list.split(",").map((name) => [name.trim(), kind] as const))
)

/** The last words of all names: no name ends with another. */
export const lasts = new Set([...byName.keys()].map((name) => name.slice(name.lastIndexOf(" ") + 1)))

/** Short names that mean something else behind other words: only as a whole. */
const alone = new Map<string, Kind>(
  "rfc rut nik pps utr egn oib cnp cpr nir rg".split(" ").map((name) => [name, "NATIONAL_ID"] as const)
)

/** Names of several words written as one: `dateofbirth`, `privatekey`. Short ones could be anything. */
export const glued = new Map<string, Kind>(
  [...byName].filter(([name]) => name.includes(" ")).map(([name, kind]) => [name.replaceAll(" ", ""), kind] as const)
    .filter(([name]) => name.length >= 7)
)

/** Names that end like a sensitive one and are not: page tokens, ids of credentials in signed addresses. */
const exempt = new Set([
  "x amz credential",
  "page token",
  "next token",
  "next page token",
  "continuation token",
  "cursor token",
  "sync token",
  "design token",
  "email address verified",
  "resume token",
  "start token",
  "token address",
  "in reply to",
  "remote address",
  "source address",
  "thought signature",
  "turn token",
  "progress token",
  "key token",
  "lexer token",
  "text signature",
  "server address",
  "peer address",
  "local address",
  "bind address",
  "listen address",
  "contract address",
  "public key token",
  "service account name",
  "package family name",
  "font family name",
  ...[
    "eos",
    "bos",
    "pad",
    "unk",
    "sep",
    "cls",
    "mask",
    "image",
    "video",
    "audio",
    "stop",
    "special",
    "added",
    "prefix",
    "suffix"
  ].map((name) => `${name} token`)
])

/** Last words that turn a sensitive name into a harmless one: `token_count`, `session_name`, `email_verified`. */
const harmlessLast = new Set([
  "count",
  "counts",
  "type",
  "kind",
  "status",
  "enabled",
  "verified",
  "length",
  "size",
  "limit",
  "usage",
  "used",
  "total",
  "policy",
  "format",
  "version",
  "template",
  "hint",
  "expiry",
  "expires",
  "ttl",
  "at",
  "by",
  "code",
  "id",
  "ids",
  "hash",
  "index",
  "offset",
  "state",
  "valid",
  "validated",
  "required",
  "changed",
  "updated",
  "created",
  "name",
  "label",
  "domain",
  "country",
  "region",
  "provider",
  "method",
  "scope",
  "scopes",
  "seconds",
  "ms",
  "millis",
  "budget",
  "max",
  "min"
])

/** The words of a name, in small letters. */
export const keyWords = (key: string): string =>
  key.replace(/([a-z0-9])([A-Z])/g, "$1 $2").replace(/([A-Z]+)([A-Z][a-z])/g, "$1 $2").replace(
    /[^\p{L}\p{M}\p{N}]+/gu,
    " "
  )
    .trim()
    .toLowerCase()

/** Whatever stands around these words: `password_digest`, `a_password_here`, `secret_key_base`. */
const says = /(?:^| )(?:password|passwd|passwort|passphrase|pwd|passw|csrf|xsrf)(?: |$)/
/** But for words that say something about it. */
const harmlessBeside = new Set([
  ..."count counts type kind status enabled verified length size limit usage used total policy format version template"
    .split(" "),
  ..."hint expiry expires expired ttl at by index offset state valid validated validator required changed updated created"
    .split(" "),
  ..."file path question label field input form page url uri link path route view screen reset forgot strength rules rule error errors message"
    .split(" "),
  ..."attempts attempt max min minutes hours days seconds ms scope provider method description placeholder title history id ids"
    .split(" "),
  ..."name config configuration settings options mode manager generator service controller handler checker store".split(
    " "
  ),
  ..."reason reasons notification notifications management broker brokers guard visible visibility enroll enrollment"
    .split(" "),
  ..."mtime time date map maps color colour button exempt cookie header param parameter selector support supported protection check login mismatch cors age"
    .split(
      " "
    )
])

const classify = (key: string): Kind | undefined => {
  // A placeholder (`[EMAIL]`) is not a name, and neither is so long a text.
  if (key.length > 64 || /\[[A-Z][A-Z0-9_]{1,31}(?::[^\]]*)?\]/.test(key)) return undefined
  const name = keyWords(key)
  if (exempt.has(name)) return undefined
  const exact = byName.get(name) ?? alone.get(name) ?? glued.get(name.replaceAll(" ", ""))
  if (exact !== undefined) return exact
  const parts = name.split(" ")
  const last = parts.at(-1) ?? ""
  // Said twice, or written for people.
  if (parts.length > 1 && ["confirmation", "confirm", "formatted"].includes(last)) {
    return byName.get(parts.slice(0, -1).join(" ")) ?? byName.get(parts.slice(-3, -1).join(" "))
  }
  if (
    last.length < 7 && !ending.test(last) && !lasts.has(last) && !lasts.has(last.slice(0, -1)) && !/\d$/.test(last) &&
    !says.test(name)
  ) {
    return undefined
  }
  // Names qualify to the left: in `customer billing address` the last words say what it is.
  for (let start = 1; start < parts.length; start++) {
    const rest = parts.slice(start).join(" ")
    // `lexer key token`; of an API's key it is the key.
    if (exempt.has(rest) && !(rest === "key token" && /^(?:api|access|secret)$/.test(parts[start - 1] ?? ""))) {
      return undefined
    }
    const found = byName.get(rest) ?? (rest.length < 7 ? undefined : glued.get(rest))
    if (found !== undefined) return found
  }
  if (last.length > 3 && last.endsWith("s") && last !== "tokens") {
    const singular = byName.get([...parts.slice(0, -1), last.slice(0, -1)].join(" ")) ?? byName.get(last.slice(0, -1))
    if (singular !== undefined) return singular
  }
  // `KMSAPIKey`: two abbreviations in one.
  if (ending.test(last) || (last === "key" && /[a-z]api$/.test(parts.at(-2) ?? ""))) return "PASSWORD"
  if (parts.length > 1 && says.test(name) && !harmlessBeside.has(last)) return "PASSWORD"
  if (harmlessLast.has(last)) return undefined
  const digits = /^(.*?)\s?\d{1,2}$/.exec(name)
  return digits === null ? undefined : byName.get(digits[1] ?? "")
}

/** Words written together that end like one: `dbpass`, `stripetoken`. */
export const ending =
  /[a-z]{2}(?:password|passwd|passwort|passphrase|secret|apikey|token|pwd)$|^(?:db|user|root|admin|my|smtp|ftp|mail|email|new|old|app|proxy)pass$/

/** Keys that are no secrets. */
const plainKeys = new Set([
  ..."public primary foreign partition shard sort cache idempotency object row hash page next continuation pagination cursor"
    .split(" "),
  ..."sync resume lock composite unique natural surrogate routing message map group index query dedup deduplication host"
    .split(" "),
  ..."translation i18n locale node react by feature config setting settings metric label field column event entity resource item"
    .split(" "),
  ..."document file folder path s3 blob image asset upload download product project issue ticket jira campaign template error"
    .split(" "),
  ..."property attribute tag lookup search range order sorting grouping join parent child record data json map dict enum option"
    .split(" "),
  ..."incident translation content menu shortcut hot access_key arrow function return enter escape control shift alt space tab"
    .split(" ")
])
/** Last words of names whose values may be secrets: only a value that looks like one is. */
const weakLast = new Set(
  "session sid nonce salt hmac sso saml seed 2fa crypt sign signed cipher oauth tokens pkcs8".split(" ")
)

/** What is asked of the value where the name of a key only hints at a secret: `stripe_key`, `session`. */
export const weakName = (key: string): "key" | "session" | undefined => {
  const name = keyWords(key)
  if (key.includes("[") || name.length > 64 || exempt.has(name)) return undefined
  const parts = name.split(" ")
  const last = parts.at(-1) ?? ""
  if (parts[0] === "tokenizer") return undefined
  if (last === "value" && parts.at(-2) === "token") return "session"
  if (weakLast.has(last) || /(?:session|sid)$/.test(last)) {
    return ["seed", "sign", "signed", "cipher", "tokens"].includes(last) ? "key" : "session"
  }
  if (!/[a-z]?key$/.test(last)) return undefined
  if (last === "key") return parts.length > 1 && !plainKeys.has(parts.at(-2) ?? "") ? "key" : undefined
  return /^(?:hot|mon|tur|don|hoc|joc|whis|public|pubkey|primary|foreign|sort|cache|object|row|hash|hos|jer|lac|lowk|mas|off|par|ris)/
      .test(last)
    ? undefined
    : "key"
}

/** The last word of a name. */
const lastWord = (key: string): string => keyWords(key).split(" ").at(-1) ?? ""

/** Whether a name ends with the word that says what its value is. */
export const endsInName = (key: string): boolean => {
  const last = lastWord(key.replace(/[\d_-]+$/, ""))
  return lasts.has(last) || lasts.has(last.slice(0, -1)) || ending.test(last)
}

/** Whether a name says that its value is a version. */
export const namesVersion = (key: string): boolean => lastWord(key) === "version"

const ofTelephone =
  /phone|mobile|tel|sms|whatsapp|msisdn|caller|contact|sender|recipient|chat|login|subscriber|member|user|person|patient|bank|from|to\b/
/** Whether a name says that its value is an id, which may begin with a nought, and no telephone. */
export const namesId = (key: string): boolean =>
  /^(?:id|order)$/.test(lastWord(key)) && !ofTelephone.test(keyWords(key))

const cache = new Map<string, Kind | null>()

/** The kind that a key's name promises, if it promises one. */
export const keyKind = (key: string): Kind | undefined => {
  const known = cache.get(key)
  if (known !== undefined) return known ?? undefined
  const kind = classify(key)
  // Keys come from callers: the cache starts again rather than grow without bound.
  if (cache.size >= 8192) cache.clear()
  cache.set(key, kind ?? null)
  return kind
}
