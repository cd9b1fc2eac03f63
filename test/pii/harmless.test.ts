/** What looks like personal data or a secret and is not one is left as it is; and what is one beside it is found. */
import { assert, describe, it } from "@effect/vitest"
import { Pii } from "effect-audit/pii"

const kept = (text: string) => assert.strictEqual(Pii.strip(text).value, text)
const keeps = (value: Parameters<typeof Pii.strip>[0]) => assert.deepStrictEqual(Pii.strip(value).value, value)
/** Nothing of the value stays. */
const gone = (text: string, value: string) => {
  const stripped = String(Pii.strip(text).value)
  assert.isTrue(text.includes(value), text)
  assert.notInclude(stripped, value)
  // Nor a good part of it.
  if (value.length > 12) {
    assert.notInclude(stripped, value.slice(-8))
    assert.notInclude(stripped, value.slice(0, 8))
  }
}

describe("what is left alone", () => {
  it("user agents", () => {
    for (
      const agent of [
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.6778.135 Mobile Safari/537.36",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/131.0.6778.73 Mobile/15E148 Safari/604.1",
        "Mozilla/5.0 (X11; U; Linux i686; en-US; rv:1.9.2.28) Gecko/20120306 Firefox/3.6.28",
        "UCWEB/2.0 (MIDP-2.0; U; en-US) U2/1.0.0 UCBrowser/9.4.1.482 U2/1.0.0 Mobile"
      ]
    ) kept(agent)
  })

  it("code on the right-hand side of a name", () => {
    for (
      const code of [
        "const client = connect({ password: options.password, user })",
        "password := strings.TrimSpace(line)",
        "apiToken = os.Getenv(\"API_TOKEN\")",
        "if (params.token === user.recoveryToken) return",
        "this.secret = secret;",
        "const sessionId = session.sessionId;",
        "def login(username: str, password: Optional[str] = None):",
        "fn set_password(&mut self, password: Option<&str>) {",
        "pw_password = pw->pw_passwd;",
        "authorizations: AuthorizationResource;",
        "password = var.db_password",
        "password: ${DB_PASSWORD}",
        "token: ${{ secrets.GITHUB_TOKEN }}",
        "mask_token = getTokenFromConfig(config, 'mask')",
        "ALL=(ALL) NOPASSWD: ALL",
        "MYSQL_ALLOW_EMPTY_PASSWORD: \"yes\"",
        "cookie::Key::derive_from(bytes)",
        "image = rows[::2]",
        "next-token: page 2 of 3",
        "Second pass: 12 files checked"
      ]
    ) kept(code)
  })

  it("types that may be missing, paths and calls with digits in their names, variables, words of a language", () => {
    for (
      const code of [
        "func unlock(_ password: String?, account: String) {",
        "public var setCookie: HTTPCookies? {",
        "    val storePassword: String?,\n    val store: String?,\n",
        "use_refresh_token: Authorization::Token.refresh_token_enabled?(server)",
        "const signature = functionThoughtSignatures?.[tc.id];",
        "MasterPasswordUnlock = MasterPasswordUnlock!.ToData(),",
        "const INVALID_TOKEN = PasswordBroker::INVALID_TOKEN;",
        "\t\t\tPassword: b64Pwd,",
        "passwordDataV3 := passwordModelV3{",
        "    pub credential: CredentialV3,",
        "self._auth_token: OAuth2Token | None = auth_token",
        "decoded_secret = base64.b64decode(secret[6:])",
        "shared_secret = libcrux_ml_kem_mlkem768_portable_decapsulate(",
        "Collection<Saml2X509Credential> getSigningX509Credentials() {",
        "return CipherUtils.newSecretKey(\"PBKDF2WithHmacSHA256\", spec)",
        "private X509AuthenticationFilter getFilter() {",
        "const saltedPassword = await  crypto.deriveKey(salt)",
        "const pass = distance <= threshold;",
        "$dsn .= \";application_name='\".str_replace(\"'\", \"\", $name)",
        "[LastPasswordChangeDate] = @LastPasswordChangeDate,",
        "credential = this@toJs.credential",
        "sdpMid = this@toJs.sdpMid",
        "let credentials = \"\\(basic.username):\\(basic.password)\"",
        ".header(\"Authorization\", \"Client-ID $IMGUR_CLIENT_ID\")",
        "\t\topts.Token = token\n\t\tfallthrough\n",
        "email := fmt.Sprintf(\"user-%d@example.com\", i)",
        "git config user.email \"$GITHUB_ACTOR@users.noreply.github.com\"",
        "stereo[0::2] = left",
        "engineToken = 'Blink|Chromium|Cronet'; regex = 'LibWeb\\+LibJs';",
        "broker_url=\"redis://localhost\""
      ]
    ) kept(code)
  })

  it("names of secrets, declarations, numbers of an enumeration, sentences, hyphens in words", () => {
    for (
      const text of [
        "public const string SharedSecret = \"SharedSecret\";",
        "static final String PASSWORD_MANAGEMENT = \"password-management\";",
        "sslPass: \"tlsCertificateKeyFilePassword\",",
        "authHeader = \"Authorization\",",
        "PATTERN_CHANGE_PASSWORD = \"/.well-known/change-password\"",
        "public class DefaultUserSession : IUserSession",
        "alias pin='poetry init'",
        "  UserChangedPassword = 1001,\n  UserResetPasswordEnroll = 1002,\n",
        "// First pass: collect all scalar values",
        "log.Error(\"postUserResetPasswordComplete: update password for user\")",
        "dependencies = [('authtoken', '0001_initial')]",
        "Please update your call to pass :reviewers and :team_reviewers",
        "return isGood ? 'pass' : 'skip'",
        "The fields are treated as shared-secret methods. Returns raw per-token predictions.",
        "https://mariadb.com/kb/en/caching_sha2_password-authentication-plugin/",
        "MYSQL_ROOT_PASSWORD_FILE=/run/secrets/db-password",
        "alias mysqlstatus='mysqladmin5 -u root -p ping'",
        "session_id: 'weather-conversation-123'",
        "the RFC 8414 AS metadata, and :rfc:`2231` too",
        "# https://BOOKMYNAME_USERNAME:BOOKMYNAME_PASSWORD@www.example.com/dyndns",
        "like 255.255.0.0, and ::ffff: before it",
        "return isShown ? \"Hide password\" : \"Show password\"",
        "\"/login/reset_password\" => \"login#reset_password\",",
        "token = \"SECRET[vault.token]\"",
        "passwordResetLinkInvalid: ?string;",
        "{{- $userSecret := .Values.auth.acl.userSecret }}",
        "{ key: 'name', pin: 'left' }",
        "git push ssh://dokku@dokku.example.com:22/app",
        "✓ it should be identified by Amavis",
        "see RFC 2616 3.7 for it",
        "const apiToken = \"YourPingdomApiToken\"",
        "if (password == \"x-oauth-basic\" || password[:4] == \"$2b$\") {"
      ]
    ) kept(text)
  })

  it("tokens that a person made up for a document, keys without a body, numbers too long for their country", () => {
    for (
      const text of [
        "glpat-xxxxxxxxxxxxxxxxxxxx and glrt-tx_xxxxxxxxxxxxxxxxxxxxxxxxxxx.xxxxxxxxx",
        "NEON_API_KEY=napi_0000000000000000000000000000000000000000000000000000000000000000",
        "-----BEGIN OPENSSH PRIVATE KEY----------END OPENSSH PRIVATE KEY-----",
        "this.addPassword = \"#add-password\"; '/forgot-password' => 'cms/sites/passwords#update'",
        "+9745614988556",
        "+96633221097"
      ]
    ) kept(text)
  })

  it("versions, sections, and names of algorithms", () => {
    for (
      const text of [
        "Applicable package Package_1 ~31bf3856ad364e35~amd64~~6.1.1.2 is installed",
        "see Section 5.2.1.1 of the document, and chapter 4.3.2.1",
        "following RFC 2617/7616 and RFC 8252 Section 7.3",
        "kex: sk-ssh-ed25519@openssh.com, chacha20-poly1305@openssh.com",
        "deployed release 2.14.0.1 to the stage"
      ]
    ) kept(text)
  })

  it("schemas of tools, and what a document says of a sensitive name", () => {
    keeps({
      type: "object",
      properties: {
        password: { type: "string", description: "The password of the account", minLength: 8 },
        email: { type: "string", format: "email" },
        api_key: { $ref: "#/components/schemas/ApiKey" },
        address: { type: "object", properties: { city: { type: "string", description: "City" } } }
      },
      required: ["password"]
    })
    keeps({
      securitySchemes: { ApiKeyAuth: { type: "http", scheme: "bearer" } },
      security: [{ shop_auth: ["write:pets"] }]
    })
  })

  it("other traffic of models: progress, plans of tools, tokenizers, signatures of functions and thoughts", () => {
    keeps({ _meta: { progressToken: "abc12345" } })
    keeps({ tool_uses: [{ recipient_name: "functions.getWeather", parameters: { place: "Rome" } }] })
    keeps({ "tokenizer.ggml.tokens": "9efe405e229a45ff9916f54c475d151d2200cd2ab0006f347abfb069cf096c86" })
    keeps({ name: "ChatPrompt", signature: "(*, messages: 'Iterable[Message]', model: str = 'm') -> Answer" })
    keeps({
      reasoning_details: [{ type: "reasoning.text", text: "t", signature: "EqoBCkgIARAB+x9", format: "f-v1", index: 0 }]
    })
    keeps({ env: { OLLAMA_API_KEY: "your_api_key_here", AUTHORIZATION: "Bearer github_pat_XXXX" } })
    keeps({ score: 0.022, token: 1867, token_str: "day" })
    keeps({ trace: { sessionId: "session_abc" }, email: "sample_email", first_name: "sample_first_name" })
    keeps({ sid: "HX5fcd0000000000000000000000000000" })
    keeps({ system: "cc_version=2.1.233.223; entry=sdk" })
  })

  it("answers of language models: tokens, their probabilities, signatures of thoughts, settings of tokenizers", () => {
    keeps({
      logprobs: {
        content: [{
          token: " password",
          logprob: -0.1,
          bytes: [32],
          top_logprobs: [{ token: "Hello1234", logprob: -1 }]
        }]
      }
    })
    keeps({ chosenCandidates: [{ token: " some", tokenId: 1063, logProbability: -0.2 }] })
    keeps({
      eos_token: "<|endoftext|>",
      pad_token: "[PAD]",
      unk_token: { content: "<unk>", lstrip: false },
      bos_token_id: 50256
    })
    keeps({ content: [{ type: "thinking", thinking: "Let me see.", signature: "EqQBCgIYAhIkYmQ2N2Y5MTAtZTk4ZS00" }] })
    keeps({ system_fingerprint: "fp_eaab8d114b_prod0820_fp8_kvcache", usage: { prompt_tokens: 12, total_tokens: 15 } })
    keeps({ tool_calls: [{ id: "call_9vq3Yb0oJk2m4QxWz7Lr8TnS", function: { name: "get_token", arguments: "{}" } }] })
  })

  it("names of packages, hosts, repositories and settings under sensitive names", () => {
    keeps({ dependencies: { minipass: "^7.1.2", passport: "0.7.0", cookie: "1.0.2", pgpass: "1.0.5" } })
    keeps({ server: { address: "api.example.com" }, serverAddress: "us-central1.example.com" })
    keeps({ full_name: "octo-org/octo-repo", license_key: "MIT", auth: "none", token: "required" })
    keeps({
      cache_key: "node-cache-Linux-x64-npm-5f2b8a9c0d1e",
      public_key: "main-2024-key-01",
      sort_key: "user#12345678901234"
    })
    keeps({ workflow_run: { id: 2823525, url: "https://api.github.example/runs/2823525" } })
  })

  it("lists of names, everyday words before numbers and ids, sentences about passwords", () => {
    for (
      const text of [
        "pick(user, ['password', 'email', 'phone'])",
        "tax 12345.67, account 123456 created, Epic 12345: refactor",
        "access: 550e8400-e29b-41d4-a716-446655440000",
        "Your password is \"weak\"; error: password is not-valid"
      ]
    ) kept(text)
    keeps({ session: "morning-session-2024", storage_key: "uploads/2024/a.pdf", nonce: "0x0000000000000001" })
  })

  it("templates and masks", () => {
    for (
      const text of [
        "https://${USER}:${TOKEN}@example.com/repo.git",
        "mysql://<username>:<password>@db/app",
        "token: ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "api_key=YOUR_API_KEY",
        "password: \"{{ vault_password }}\"",
        "export PWD=/home/build"
      ]
    ) kept(text)
  })

  it("in events of other systems: times, counters, ids, statements, classes of goods under the names of secrets and persons", () => {
    for (
      const event of [
        { PasswordReusePrevention: 24, PasswordNextRotation: "2019-04-01T00:00:00Z", password_last_changed: "90" },
        { SessionId: "2", session_id: 7, UserSid: "S-1-5-21-239183934-720705223-383019856-500" },
        { Statement: [{ Sid: "VisualEditor0", Effect: "Allow", Action: "s3:GetObject", Resource: "*" }] },
        { credentials: { jti: "0107c849078d8d889af711840197ba7c" }, TLSCipher: "TLS_AES_128_GCM_SHA256" },
        { accountName: "criticaldata001", serviceAccountName: "default", PackageFamilyName: "Contoso.App_8wekyb3d8" },
        { alert: { signature: "ET SCAN Sipvicious User-Agent Detected (friendly-scanner)" }, sig: 11 },
        { resultSignature: "SUCCESS", permissions: { secrets: "read", organization_secrets: "write" } },
        { version: "23.0.0.10", account_id: "0123456789", order: "0123456789", tax_code: "txcd_92010001" },
        {
          clientToken: "5dd59182-3917-421c-9b2c-7c92954b66ee"
        },
        { clientToken: "fleet-180da986-0bb4-c936-0c9a-0e20a0c6d1aa-0" },
        {
          principalId: "AROA123456789EXAMPLE:bob.ross",
          SecretId: "arn:aws:secretsmanager:us-east-1:1:secret:id-ABCD1E"
        },
        {
          "azureml-model-session": "d20260330170902-0e618f323d34",
          IncidentKey: "incident:devicedied:3b04b62c54dcbb64"
        },
        { listener: { address: "localhost:8200" }, proxy: { address: "https://proxy:3128" } }
      ]
    ) keeps(event)
  })

  it("templates and masks of other programs, labels, sentences", () => {
    keeps({
      password: "[FILTERED]",
      otp_attempt: "[Filtered]",
      accessKey: "HIDDEN_DUE_TO_SECURITY_REASONS",
      name: "****"
    })
    keeps({ password: "{pg-password.value}", token: "${{ secrets.GH_PACKAGES_PAT }}", secret: "#{vault.item}" })
    keeps({ connectionString: "nats://nats:{nats-password.value}@{nats.bindings.tcp.host}:4222" })
    keeps({ secret_access_key: "test_secret_access_key", proxyPass: "Password to use when accessing proxy server" })
    for (
      const line of [
        "Auth: Auth-Failure ip unknown username 'test'",
        "password=__REDACTED__",
        "\"input_cost_per_token\": 0.0000025,",
        "pass = 2014-07-14T14:00:05.507955-04:00 unbound: notice",
        "password = self.dialog:getInputText()",
        "dialog.password = InputDialog:new{",
        "\"arn:aws:secretsmanager:us-west-2:123123123123:secret:stratus-secret-3-gscOm8\""
      ]
    ) kept(line)
  })

  it("events of a stream as what their data say", () => {
    const signature = "ErUBCkYIARgCIkDGs9QuvKv+/vunX8M+9GOMaupWZ4e+0VUfSAEyLTYlfQL0KPGj8wxHJbrjLYQsF8KP".repeat(3)
    const thought = JSON.stringify({ type: "content_block_delta", delta: { type: "signature_delta", signature } })
    kept(`event: content_block_delta\ndata: ${thought}\n\n`)
    kept(`data: ${thought}`)
    gone("data: {\"password\":\"correct horse\"}\n\ndata: [DONE]\n", "correct horse")
  })

  it("columns of logs, versions of products and packages, ids with a label, the quote behind a street", () => {
    for (
      const line of [
        "main app/app1 0/0/0/169/169 404 1541 - - ---- 5715/616/96/15/0 0/0",
        "\"GET /docs/nx HTTP/1.1\" 404 19 2167 \"-\"",
        "\"GET / HTTP/1.1\" 207 386 1186 -",
        "KWC-K323/1.0.0.1 UP.Browser/6.2.3",
        "   8.1.2.1. Pseudo-Header Fields",
        "$Id: handler.lua,v 1.1.1.1 2001/11/28 06:11:33 paulc Exp",
        "com.fasterxml.jackson.core@2.13.0.Final",
        "msg: \"xccdf-result\", scan-id: \"0011477050403\"",
        "plugin: buf.build/apple/swift:v1.25.1",
        "\"taxCode\":\"O9999999\",\"taxCodeId\":9111",
        "open([\"memos/pin1\", \"memos/pin2\"])",
        "Buffer.from(\"accountKey\", \"base64\")",
        "xoxb-xoxb-my-bot-token"
      ]
    ) kept(line)
    assert.strictEqual(Pii.strip("{ street: \"12345 Main Street\" }").value, "{ street: \"[STREET_ADDRESS]\" }")
  })
})

describe("what is found beside them", () => {
  it("nothing takes long to be told from a label or a name, whatever it is made of", () => {
    for (
      const value of [
        { password: `${"a".repeat(62)}1` },
        { access_token: `VPHcJOotCQFktfYRkehuRiMjxUlXMpMziUgQlaaPCIpcCb${"a".repeat(15)}_1` },
        { account_name: `${"a ".repeat(50_000)}1` },
        { signature: "a".repeat(100_000) },
        { token: "A a ".repeat(25_000) },
        { dsn: "redis://{a.b".repeat(8000) },
        { event: "data: {".repeat(14_000) },
        { text: `password=${"a".repeat(60)}1 `.repeat(1000) }
      ]
    ) assert.isString(JSON.stringify(Pii.strip(value).value))
  }, 10_000)

  it("what such values look like, where they are what their names say", () => {
    const lost = (value: Record<string, string | number>) => {
      const stripped = JSON.stringify(Pii.strip(value).value)
      for (const text of Object.values(value)) assert.notInclude(stripped, String(text))
    }
    lost({ password: "2019-04-01", pin: 24, otp: "314159", session_id: "123456789012", SessionId: "a8f3b2c19d4e" })
    lost({ accountName: "Kim Minsoo", account_holder: "Sally Smith", taxCode: "RSSMRA85T10A562S" })
    lost({ client_token: "5dd59182-3917-421c-9b2c-7c92954b66ee", clientToken: "hvs.CAESIJ2x7Q9f8K3mZ1vB6nW4tY0rE5uI" })
    lost({ signature: "3045022100a7f0c1d2e3b4a5968778695a4b3c2d1e0f", phone: "0011477050403", number: "0412345678" })
    lost({ password: "__Filter3d__Now", secret: "hidden-Rn8#kd", passphrase: "Correct horse battery staple lamp" })
    for (
      const value of [
        { mnemonic: "Legal winner thank must wave sausage worth useful legal winner thank yellow" },
        { passphrase: "Never give up the fight for freedom", security_answer: "We met at the lake near Boston" },
        { password: "My dog jumped over the fence yesterday", pin_3: 123, passcode: "123" },
        { whatsapp_id: "07911123456", chat_id: "0034612345678", account: "004915123456789", contactId: "07911123456" },
        {
          authorization: "Bearer {a.b}Rn8kdQz7xxRn8kdQz7xx",
          db_password: "Xy7#{k.q}zR2",
          key_password: "{Rn8-kd.Qz7}"
        },
        { given_name: "丽丽", first_name: "나나", pin: "１１１１", password: "ааааааа", pwd: "!!!!!!" },
        {
          accountName: "김민수",
          customer_account_name: "Sally_Smith",
          account_name: "SMITH JOHN 1",
          owner_name: "O'Brien"
        },
        { admin_password: "admin-admin", kim_password: "kim-password", root_pass: "qwertz" },
        { signature: "dGhpcyBpcyBhIHNpZ25hdHVyZSBvZiBieXRlcw==\n", sig: "Kj9sd8fj2k" },
        { signature: "t=1492774577, v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd" },
        { session_id: "48213907", "connect.sid": "s%3A95434520abc.def1234567" },
        {
          clientToken: "Rn8kdQz7xxRn8kdQz7-5dd59182-3917-421c-9b2c-7c92954b66ee-S3cr3tS3cr3t",
          token: "@let-me-in-now8"
        },
        { session: "20260330170902-8f3a9b2c7d1e5f6a7b8c9d0e1f2a3b4c", salt: "aes_8f3a9b2c7d1e5f6a7b8c" },
        {
          taxCode: "B12345678",
          home_address: "https://maps.google.com/?q=12+Main+Street+Springfield",
          release: "192.168.1.7"
        },
        { public_token: "public-sandbox-5c224a01-8314-4491-a06f-39e193d5cddc", last_name: "Hidden" }
      ]
    ) lost(value)
    assert.deepStrictEqual(Pii.strip({ root_password: "admin", otp: "admin" }).value, {
      root_password: null,
      otp: null
    })
    const own = (text: string) =>
      [...text.matchAll(/^0\d{9}$/g)].map(({ index }) => ({ start: index, end: 10, kind: "PERSON" as const }))
    assert.deepStrictEqual(Pii.strip({ employee_id: "0123456789" }, { detectors: [own] }).value, {
      employee_id: "[PERSON]"
    })
    for (
      const [text, value] of [
        ["broker1/203.0.113.9 (id: 1 rack: null)", "203.0.113.9"],
        ["203.0.113.77. Connection refused", "203.0.113.77"],
        ["export TOKEN=1234.5678", "1234.5678"],
        ["login(\"db_password\",\"db_Rn8kdQz7xx9!\")", "db_Rn8kdQz7xx9!"],
        ["env(\"STRIPE_SECRET\",\"STRIPE_Rn8kdQz7xxRn8\")", "Rn8kdQz7xxRn8"],
        ["data: [\"password\",\"hunter2Rn8\"]", "hunter2Rn8"],
        ["pass=root:toor{", "root:toor"],
        ["mail kim@1.2.example.com", "kim@1.2.example.com"],
        ["555/5/555-123-4567", "555-123-4567"],
        ["ssn 1/2/3/123-45-6789", "123-45-6789"],
        ["HTTP/1.1\" 555-123-4567", "555-123-4567"],
        ["password: \"2014-07-14 14:00                     Rn8kdQz\"", "Rn8kdQz"],
        ["xoxs-AbCdEfGhIjKlMn_1234567890", "AbCdEfGhIjKlMn"],
        ["arn:aws:iam::1:user/kim:password:hunter2Rn8", "hunter2Rn8"]
      ] as const
    ) gone(text, value)
    // A second pass finds nothing more.
    const address = Pii.strip({ address: "203.0.113.77:8080" }).value
    assert.deepStrictEqual(Pii.strip(address).value, address)
    gone("numbers 555-123-4567/555-987-6543", "555-987-6543")
    gone("host1/10.0.0.1", "10.0.0.1")
    gone("AKIAQYLPMN5HFIQR7XYA", "AKIAQYLPMN5HFIQR7XYA")
    gone("xoxb-263594206564-FGqddMF8t08v8N7Oq4i57vs1", "263594206564-FGqddMF8t08v8N7Oq4i57vs1")
    gone("password: 2019-04-01", "2019-04-01")
  })
  it("random tokens after a word that names them, without any vendor's form", () => {
    for (
      const [text, value] of [
        ["weatherly key 8f3a9c1d7e5b4a2f9d8c7b6a5e4f3d2c", "8f3a9c1d7e5b4a2f9d8c7b6a5e4f3d2c"],
        ["[DEBUG] using Key=q7Zp2LmX9sKd4VbN8tRf", "q7Zp2LmX9sKd4VbN8tRf"],
        ["zendo token - 'Rk3vT9qLw2XcB7nM5pZd'", "Rk3vT9qLw2XcB7nM5pZd"],
        ["acmeSECRET 3b1f6a20-9c4d-4e8f-a1b2-c3d4e5f60718", "3b1f6a20-9c4d-4e8f-a1b2-c3d4e5f60718"],
        ["OKTA_KEY=00aBcD3fGh1jKlMn0pQrStUvWxYz12", "00aBcD3fGh1jKlMn0pQrStUvWxYz12"]
      ] as const
    ) gone(text, value)
    for (
      const text of [
        "commit 8f3a9c1d7e5b4a2f9d8c7b6a5e4f3d2c1b0a9f8e",
        "cache key: 8f3a9c1d7e5b4a2f9d8c7b6a5e4f3d2c",
        "primary key 3b1f6a20-9c4d-4e8f-a1b2-c3d4e5f60718",
        "trace 0af7651916cd43dd8448eb211c80319c ended"
      ]
    ) kept(text)
  })

  it("values behind types, brackets, arguments, elements, pairs and columns", () => {
    for (
      const [text, value] of [
        ["var apiToken string = \"f81Kd0aPq27LmZx\"", "f81Kd0aPq27LmZx"],
        ["let password: &str = \"tr0ub4dor&3\";", "tr0ub4dor&3"],
        ["os.environ[\"API_TOKEN\"] = \"f81Kd0aPq27LmZx\"", "f81Kd0aPq27LmZx"],
        ["setenv(\"SERVICE_TOKEN\", \"f81Kd0aPq27LmZx\", 1);", "f81Kd0aPq27LmZx"],
        ["<password>tr0ub4dor</password>", "tr0ub4dor"],
        ["<apiToken>\n    f81Kd0aPq27LmZx\n</apiToken>", "f81Kd0aPq27LmZx"],
        ["<add key=\"DbPassword\" value=\"tr0ub4dor\"/>", "tr0ub4dor"],
        ["{\"name\": \"DB_PASSWORD\", \"value\": \"tr0ub4dor\"}", "tr0ub4dor"],
        ["password             =>    'tr0ub4dor'", "tr0ub4dor"],
        ["secret: \"abc1'def2ghi3\"", "abc1'def2ghi3"],
        ["Authorization: Hawk id=\"dh37\", ts=\"1353832234\", mac=\"6R4rV5iE+NPoym\"", "6R4rV5iE+NPoym"],
        ["the default password for user kim is: tr0ub4dor", "tr0ub4dor"]
      ] as const
    ) gone(text, value)
  })

  it("the whole of a long value, and of a token that goes on behind its vendor's form", () => {
    const long = Array.from({ length: 300 }, (_, n) => `${n * 7919 % 1000}aZ`).join("")
    gone(`access_token=${long}`, long)
    const token = `ghp_${"a1B2".repeat(9)}`
    gone(`token: "${token}.tail-9x8y7z"`, `${token}.tail-9x8y7z`)
  })

  it("words as passwords in configurations, connection strings, objects and commands, and nothing beside them", () => {
    for (
      const [text, wanted] of [
        ["POSTGRES_PASSWORD=mysecretpassword", "POSTGRES_PASSWORD="],
        ["Server=db;User Id=sa;Password=letmein;Encrypt=true", "Server=db;User Id=sa;Password=;Encrypt=true"],
        ["User{password=sunshine, name=kim}", "User{password=, name=kim}"],
        ["PGPASSWORD=Sunshine && psql", "PGPASSWORD= && psql"],
        ["mysql --password=Sunshine && x", "mysql --password= && x"],
        ["sshpass -p 'x9y' ssh kim", "sshpass -p '' ssh kim"],
        ["docker login -u kim -p S3cret99", "docker login -u kim -p "],
        ["machine x login kim password S3cret99", "machine x login kim password "],
        ["user[password]=S3cret99&x=1", "user[password]=&x=1"],
        ["{'password': b'letmein9'}", "{'password': b''}"],
        ["-H 'Authorization: Basic dXNlcjpsZXRtZWlu'", "-H 'Authorization: Basic '"],
        [
          "login password=hunter2 user=kim status=failed reason=bad",
          "login password= user=kim status=failed reason=bad"
        ],
        ["failed, password=Sunshine while connecting", "failed, password= while connecting"],
        ["token= user=kim12345", "token= user=kim12345"]
      ] as const
    ) assert.strictEqual(Pii.strip(text).value, wanted)
    // Random tokens of letters alone.
    for (const token of ["YLSJwLCRgPmxczKN", "AbcDefGhiJklMnoPqrStu"]) gone(`API_TOKEN=${token}`, token)
  })

  it("a password to the end of its line, whatever signs it has", () => {
    for (
      const password of [
        "Vector2026!",
        "kX9&vR2qLw7",
        "kX9)vR2qLw7+x",
        "%kX9vR2qLw7",
        "[kX9vR2qLw7",
        "kX9(vR2q[Lw7",
        "1[WE]JmK;XMCxV",
        "<kX9|vR2qLw7",
        "{kX9vR2qLw7,a",
        "j;y=i<eURY$H",
        "x;pbBj~;X~fh;"
      ]
    ) {
      gone(`# settings\nADMIN_PASSWORD=${password}\nPORT=1`, password)
      gone(`  password: ${password}\n  port: 1`, password)
      gone(`password="${password}"`, password)
    }
    gone("app.secret.key=\"kX9vR2qLw7mT\"", "kX9vR2qLw7mT")
    gone("EnvKMSAPIKey: \"k1:MBDtmC9ZAf3Wi4-oGglgKx_6T1\"", "MBDtmC9ZAf3Wi4-oGglgKx_6T1")
    gone("password = \"LKBzaq_bTKkVZQfga\"", "LKBzaq_bTKkVZQfga")
    gone("CREATE USER kim IDENTIFIED BY hunter2", "hunter2")
    gone("{ code: 'x', pin: '4711' }", "4711")
  })

  it("real secrets and data in the forms of what is left alone", () => {
    for (
      const [text, value] of [
        ["INFO sent +14155552671 200 OK", "14155552671"],
        ["+33 06 12 34 56 78", "06 12 34 56 78"],
        ["+44 (020) 7946 0958", "7946 0958"],
        ["+330612345678", "612345678"],
        ["session_id=XYDentIcSkGxlUOsvyNnjLTNSdKTwNZb", "XYDentIcSkGxlUOsvyNnjLTNSdKTwNZb"],
        ["session_token=johnsmith1985", "johnsmith1985"],
        ["SECRET_KEY=\"+kZ8Jx2vQpL0mN4bV6cX1zA3sD5fG7hJ9kL2qW4eR6t=\"", "kZ8Jx2vQpL0mN4bV6cX1zA3sD5fG7hJ9kL2qW4eR6t"],
        [
          "AWS_SECRET_ACCESS_KEY=\"r/UllHH07ufjROxPWtWKxk39s0dkf93lsPq02kLm\"",
          "UllHH07ufjROxPWtWKxk39s0dkf93lsPq02kLm"
        ],
        ["password: \"summer/2024\"", "summer/2024"],
        ["login {\\\"password\\\":\\\"CORP\\\\svc9!\\\"}", "svc9"],
        ["password: S3cretKey", "S3cretKey"],
        ["API_KEY=\"my-s3cret-key\"", "my-s3cret-key"],
        ["password = i_lov3you", "i_lov3you"],
        ["DB_PASSWORD=Changeme123!", "Changeme123!"],
        ["SA_PASSWORD: \"YourStrong@Passw0rd\"", "YourStrong@Passw0rd"],
        ["Payment { CardCvv = 123, Name = Kim }", "123"],
        ["UserPassword = 48213, Name = Kim", "48213"],
        ["SIP extension password: Xy9kPq2Lm", "Xy9kPq2Lm"],
        ["initial pass: Welcome1!", "Welcome1"],
        ["Is this ok? \"pin\": \"4711\"", "4711"],
        ["curl -u ${USER}:Summer2024! https://example.com", "Summer2024"],
        ["kim@mysql01:~$ sshpass -p 'S3cret!9' ssh root@db", "S3cret!9"],
        ["DB_PASSWORD=WhoAmI?", "WhoAmI"],
        ["Your initial password is 1990-05-17", "1990-05-17"],
        ["DB_PASSWORD=\"monkey-password\"", "monkey-password"],
        ["const password = \"letMeInPassword\"", "letMeInPassword"],
        ["db_password: swordfish for the staging server", "swordfish"],
        ["<param name=\"password\">Summer2024!</param>", "Summer2024!"],
        ["mail djm@openssh.com", "djm@openssh.com"],
        ["to $kim@example.com", "kim@example.com"],
        ["core: 203.0.113.7, server_build: 203.0.113.9", "203.0.113.9"],
        ["Mozilla/5.0 (X11) passport AB1234567", "AB1234567"],
        ["password: \"!@#$%^&*\"", "!@#$%^&*"]
      ] as const
    ) gone(text, value)
    for (
      const [key, value] of [
        ["password", "Summer99xxxx"],
        ["password", "your-dog-Rex9"],
        ["passwordText", "Winter2024!"],
        ["session_id", "XYDentIcSkGxlUOsvyNn"]
      ] as const
    ) assert.notInclude(JSON.stringify(Pii.strip({ [key]: value }).value), value)
    const hook = { data: 1, signature: "sha256=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" }
    assert.notInclude(JSON.stringify(Pii.strip(hook).value), "9f86d081")
  })

  it("what stands in the same places and is one", () => {
    gone("password: \"CorrectHorseBatteryStaple\"", "CorrectHorseBatteryStaple")
    gone("password: Summer2024?", "Summer2024")
    gone("mysqldump -phunter2 shop", "hunter2")
    gone("curl --user kevin:'pRf7xq9T2w' https://example.com", "pRf7xq9T2w")
    gone("ANY-password=dipPr165Gg! ANY-user=kim", "dipPr165Gg!")
    gone("splunk-SECRET 8gNfR3bC7mJ6p9eK4t8wQ2 here", "8gNfR3bC7mJ6p9eK4t8wQ2")
    gone("session_id: '9f8a7c6b5d4e3f2a1b0c'", "9f8a7c6b5d4e3f2a1b0c")
    gone("git clone https://user:hunter2@example.com/x", "hunter2")
    gone("Your RFC is GODE561231GR8 now", "GODE561231GR8")
    gone("mask 255.255.255.0 of 10.1.2.3", "10.1.2.3")
    gone("mail this.person@example.com", "this.person@example.com")
    gone("\"password\": \"admin_2024!\"", "admin_2024!")
    gone("call +974 5614 9885 56 now", "5614 9885 56")
    gone("write to +44 (0)20 7946 0958", "7946 0958")
    gone("+52 1 55 1234 5678", "55 1234 5678")
    gone(
      "wandb_api_keyToken = \"9f8a7c6b5d4e3f2a1b0c9f8a7c6b5d4e3f2a1b0c\"",
      "9f8a7c6b5d4e3f2a1b0c9f8a7c6b5d4e3f2a1b0c"
    )
    gone("glpat-x7xKq2xxRt9LmZ3vBn5w", "glpat-x7xKq2xxRt9LmZ3vBn5w")
    gone("Authorization: Bearer aGVsbG8gd29ybGQxMjM0", "aGVsbG8gd29ybGQxMjM0")
  })

  it("under keys: with white space around them, signs before them, and beside a description", () => {
    for (
      const [value, wanted] of [
        [{ token: "d41d8cd98f00b204e9800998ecf8427e\n" }, { token: null }],
        [{ password: "$uperSecret99!" }, { password: null }],
        [{ street: "Hauptstraße" }, { street: "[STREET_ADDRESS]" }],
        [{ otp: "x1y2" }, { otp: null }],
        [{ api_key: { description: "d", value: "S3cret99x" } }, { api_key: { description: "d", value: null } }],
        [{ signature: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" }, { signature: null }]
      ] as const
    ) assert.deepStrictEqual<unknown>(Pii.strip(value).value, wanted)
  })

  it("a key that holds a placeholder names nothing", () => {
    const once = Pii.strip({ "user kim@example.org": "active" }).value
    assert.deepStrictEqual(once, { "user [EMAIL]": "active" })
    assert.deepStrictEqual(Pii.strip(once).value, once)
  })

  it("hashes of passwords", () => {
    for (
      const hash of [
        "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
        "$6$qoE2letU$wWPRl.PVczjzeMVgjiA8LLy2nOyZbf7Amj3qLIL978o18gbMySdKZ7uepq9tmMQXxyTIrS12Pln.2Q/6Xscao0",
        "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b7dWRWJTmaQVa"
      ]
    ) gone(`kim:${hash}:19000:0:99999`, hash)
  })

  it("identity numbers by the word of their country, telephones and dates of birth by natural words", () => {
    for (
      const [text, value] of [
        ["CPF: 529.982.247-25", "529.982.247-25"],
        ["moje rodné číslo je 530101/1234", "530101/1234"],
        ["fødselsnummer 13097248022", "13097248022"],
        ["HKID: A123456(3)", "A123456"],
        ["身份证号码：110101199003077571", "110101199003077571"],
        ["my SIN: 130 692 544", "130 692 544"],
        ["henkilötunnus 131052-308T", "131052-308T"],
        ["driver's license: S123-4567-8901", "S123-4567-8901"],
        ["my number is 0171 2345678", "0171 2345678"],
        ["тел: 8 495 123-45-67", "495 123-45-67"],
        ["born on April 12, 1990", "April 12, 1990"],
        ["her birthday is 12th April 1990", "12th April 1990"],
        ["card 3714 4963 5398 431", "3714 4963 5398 431"]
      ] as const
    ) gone(text, value)
  })

  it("identity numbers that their form and check letter give away, without a word", () => {
    for (const id of ["RCCMNL83S18D969H", "X1234567L", "S1234567D", "G1234567X"]) gone(`see ${id} there`, id)
    for (const other of ["RCCMNL83S18D969A", "X1234567A", "S1234567A", "ABCDEF12G34H567I"]) kept(`see ${other} there`)
  })

  it("streets in small letters, boxes, and postal codes behind a state", () => {
    for (
      const [text, value] of [
        ["i live at 12 oak hill road now", "12 oak hill road"],
        ["send it to PO Box 1234 please", "PO Box 1234"],
        ["P.O. Box 77, Austin, TX 78701", "78701"]
      ] as const
    ) gone(text, value)
    for (
      const text of [
        "3 ways down the road",
        "10 miles of road",
        "5 cars in the street",
        "IN 12345 rows",
        "TX 78701 sent"
      ]
    ) kept(text)
  })

  it("keys that hint at a secret, where the value looks like one", () => {
    for (const key of ["stripe_key", "session", "x_key", "csrftoken", "stripetoken", "password_digest", "privatekey"]) {
      assert.deepStrictEqual(Pii.strip({ [key]: "Zx9-quite-a-value-77" }).value, { [key]: null }, key)
    }
    keeps({ session: "morning", stripe_key: "see vault", password_policy: "strict", token_count: 12 })
  })
})
