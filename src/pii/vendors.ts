/**
 * Tokens that their issuers mark with a prefix: formats from the issuers' documentation and their secret-scanning
 * partners' lists (GitHub secret scanning, GitLab token overview).
 */

import { codeAt, codeBefore } from "./boundary.ts"

const w = "[A-Za-z0-9_-]"
const a = "[A-Za-z0-9]"
const hex = "[a-f0-9]"
const uuid = `${hex}{8}-${hex}{4}-${hex}{4}-${hex}{4}-${hex}{12}`

/** Prefix, and what follows it. */
const formats: ReadonlyArray<readonly [prefix: string, rest: string]> = [
  // Clouds
  ...["AKIA", "ASIA", "ABIA", "ACCA", "AGPA", "AIDA", "AROA", "AIPA", "ANPA", "ANVA"].map((id) =>
    [id, "[A-Z0-9]{16}"] as const
  ),
  ["A3T", "[A-Z0-9]{17}"],
  ["ABSK", "[A-Za-z0-9+/]{100,270}={0,2}"],
  ["bedrock-api-key-", `${w}{20,}[=]{0,2}`],
  ["amzn.mws.", "[a-z0-9]{8}-[a-z0-9]{4}-[a-z0-9]{4}-[a-z0-9]{4}-[a-z0-9]{12}"],
  ["amzn1.oa2-cs.v1.", `${hex}{64}`],
  ["AIza", `${w}{35}`],
  ["ya29.", `${w}{20,2048}`],
  ["GOCSPX-", `${w}{28}`],
  ["1//0", `${w}{40,250}`],
  ["LTAI", `${a}{12,30}`],
  ["AKID", `${a}{13,40}`],
  ["do", `[opr]_v1_${hex}{64}`],
  ["dapi", "[a-fA-F0-9]{32}(?:-\\d)?"],
  ["HRKU-", `${w}{36,64}`],
  ["fo1_", `${w}{43}`],
  ["fm1", "[ar]_[A-Za-z0-9+/]{90,}={0,3}(?:,fm1[ar]_[A-Za-z0-9+/]{20,}={0,3})*"],
  ["fm2_", "[A-Za-z0-9+/]{90,}={0,3}"],
  ["pscale_", `(?:tkn|oauth|pw)_[A-Za-z0-9_.=-]{32,64}`],
  ["sbp_", `${hex}{40}`],
  ["sb_secret_", `${w}{20,}`],
  ["vc", `[pirakc]_${w}{24,80}`],
  ["cf", `(?:k|ut|at|oat)_${a}{32,60}`],
  ["v1.0-", `${hex}{24}-${hex}{146}`],
  ["nvapi-", `${w}{60,80}`],
  ["tk-us-", `${w}{48}`],
  ["t1.", `${w}{20,400}={0,2}\\.${w}{86}={0,2}`],
  ["dt0c01.", "[A-Z0-9]{24}\\.[A-Z0-9]{64}"],
  ["pul-", `${hex}{40}`],
  ["dnkey-", "[A-Z0-9=_-]{26,}-[A-Z0-9=_-]{52}"],
  ["tskey-", `${a}+-${w}{20,}`],
  ["ico-", `${a}{32}`],
  ["sha256~", `${w}{43}`],
  // Source, build, packages
  ["gh", `(?:s_\\d{1,12}_eyJ${w}{10,}\\.${w}{10,}\\.${w}{10,}|[pousr]_${a}{36,255})`],
  ["github_pat_", "[A-Za-z0-9_]{36,255}"],
  ["gl", `(?:pat|dt|ft|soat|rt|rtr|cbt|ptt|agent|imt|wt|oas|ffct)-${w}{16,}(?:\\.[a-z0-9]{2,9}){0,2}`],
  ["GR1348941", `${w}{20}`],
  ["npm_", `${a}{36}`],
  ["pypi-", `${w}{50,}`],
  ["rubygems_", `${hex}{48}`],
  ["oy2", "[a-z0-9]{43}"],
  ["dckr_", `(?:pat|oat)_${w}{27,32}`],
  ["SWMKEY-1-", "[A-Za-z0-9+/]{43}"],
  ["SWMTKN-1-", `${a}{50}-${a}{25}`],
  ["cio", `${a}{32}`],
  ["AKCp", `${a}{60,73}`],
  ["cmVmd", `${a}{59}`],
  ["CLOJARS_", "[a-z0-9]{60}"],
  ["sq", `[apu]_${a}{40}`],
  ["sgp_", "(?:[A-Fa-f0-9]{16}_|local_)?[A-Fa-f0-9]{40}"],
  ["slk_", `${hex}{64}`],
  ["bk", `ua_${hex}{40}`],
  ["PMAK-", `${hex}{24}-${hex}{34}`],
  ["PMAT-", "[A-Z0-9]{26}"],
  ["figd_", `${w}{36,}`],
  ["CFPAT-", `${w}{43}`],
  ["pnu_", "[a-z0-9]{36}"],
  ["API-", "[A-Z0-9]{26}"],
  ["ddp_", `${a}{36,}`],
  ["sdk-", uuid],
  ["api-", uuid],
  // Models
  [
    "sk-",
    `(?:(?:ant|proj|or|svcacct|admin|lf|None)-(?:[a-z0-9]{2,8}-)?${w}{20,200}|(?=${w}*\\d)(?:(?:${a}{2,12}-){0,2}${a}[A-Za-z0-9_]{19,200}|(?=${w}*[A-Z])(?=${w}*[a-z])${w}{32,200}))`
  ],
  ["hf_", `(?=${a}*[A-Z])(?=${a}*[a-z])${a}{30,40}`],
  ["api_org_", `${a}{30,40}`],
  ["r8_", `${a}{37,40}`],
  ["gsk_", `${a}{40,60}`],
  ["xai-", `${a}{60,100}`],
  ["llx-", `${w}{36,64}`],
  ["pplx-", `${a}{40,64}`],
  // Messages, mail, chat
  ["xox", `[abcdeoprs](?:\\.xox[bp])?-(?:\\d-)?[A-Za-z0-9%+/=-]{10,250}`],
  ["xapp-", "[A-Za-z0-9-]{20,150}"],
  ["SG.", `${w}{16,32}\\.${w}{16,64}`],
  ["key-", `${hex}{32}`],
  ["xkeysib-", `${hex}{64}-${a}{16}`],
  ["SK", "[A-Fa-f0-9]{32}"],
  ["AC", "[A-Fa-f0-9]{32}"],
  ["BBDC-", "[A-Za-z0-9+/]{40,50}"],
  ["3MVG", "[A-Za-z0-9_.]{60,100}"],
  ["00D", `${a}{12,15}![A-Za-z0-9_.]{60,130}`],
  ["cosmo_", `${hex}{32}`],
  // Payments and shops
  ["sk_", `(?:live|test|prod)_${a}{10,247}`],
  ["rk_", `(?:live|test|prod)_${a}{10,247}`],
  ["whsec_", "[A-Za-z0-9+/=]{24,96}"],
  ["sq0", `(?:atp-${w}{22}|csp-${w}{43})`],
  ["EAAA", `${w}{60}`],
  ["EAA", `${a}{80,250}`],
  ["EZ", `[AT]K${a}{54}`],
  ["FLWSECK", "(?:_TEST)?-[A-Za-z0-9]{12,32}-X"],
  ["access_token$", `(?:production|sandbox)\\$[a-z0-9]{16}\\$${hex}{32}`],
  ["access-", `(?:sandbox|development|production)-${uuid}`],
  ["shp", `(?:at|ca|pa|ss)_${a}{32,38}`],
  ["shippo_", `(?:live|test)_${hex}{40}`],
  ["duffel_", `(?:live|test)_${w}{43}`],
  ["live_", `${hex}{35}`],
  ["test_", `${hex}{35}`],
  // Work and data
  ["ATATT3", "[A-Za-z0-9+/=_-]{150,250}"],
  ["ATCTT3", "[A-Za-z0-9+/=_-]{150,250}"],
  ["ATBB", `${a}{32}`],
  ["pat", `${a}{14}\\.${hex}{64}`],
  ["pat-", `(?:na|eu)\\d-${uuid}`],
  ["pat.", `${w}{22}\\.${hex}{24}\\.${a}{20}`],
  ["lin_", `(?:api|oauth)_${a}{32,64}`],
  ["ntn_", `\\d{9,11}${a}{32,40}`],
  ["secret_", `${a}{43}`],
  ["tfp_", "[A-Za-z0-9_.=-]{59}"],
  ["rdme_", "[a-z0-9]{70}"],
  ["fio-u-", `${w}{64}`],
  ["aio_", `${a}{28}`],
  ["sntry", `(?:u_${hex}{64}|s_[A-Za-z0-9+/=_-]{60,})`],
  ["gls", `a_${a}{32}_[A-Fa-f0-9]{8}`],
  ["glc_", "[A-Za-z0-9+/]{32,400}={0,3}"],
  ["NR", `(?:AK-[A-Z0-9]{27}|BR-${hex}{19}|II-${w}{24,32}|JS-${hex}{19}|RA-${hex}{40})`],
  ["sl.", `${w}{60,}`],
  ["dp.", `(?:pt|st|ct|scim|audit|sa)\\.(?:[a-z0-9_-]{2,35}\\.)?${a}{40,44}`],
  ["hv", `[sbr]\\.${w}{24,300}`],
  ["ops_", `eyJ[A-Za-z0-9_=-]{100,}`],
  ["da2-", "[a-z0-9]{26}"],
  ["sk_org_live_", `${a}{20,}`],
  ["pcsk_", `${w}{40,80}`],
  ["tvly-", `${w}{20,64}`],
  ["nf", `[po]_${a}{36,60}`],
  ["rnd_", `${a}{24,40}`],
  ["napi_", `${a}{60,70}`],
  ["mlsn.", `${hex}{60,70}`],
  ["re_", `${a}{8,10}_${a}{20,30}`],
  ["dt0s", "(?:16|02)\\.[A-Z0-9]{8}\\.[A-Z0-9]{64}"],
  ["rzp_", `(?:live|test)_${a}{14,24}`],
  ["IGQ", `${w}{80,250}`],
  ["snyk_uat.", `${w}{8}\\.${w}{20,200}`],
  ["CCIP", `(?:AT|RJ)_${w}{20,}`],
  ["lsv2_", `(?:pt|sk)_${hex}{32}_${hex}{10}`],
  ["fc-", `${hex}{32}`],
  ["csk-", `${a}{40,60}`],
  ["jina_", `${a}{50,70}`],
  ["e2b_", `${hex}{40}`],
  ["tgp_v1_", `${w}{40,50}`],
  ["fig", `[ou]_${w}{36,}`],
  ["sl.u.", `${w}{60,}`],
  ["hca", `[ik][kc]_${a}{50,70}`],
  ["apify_api_", `${a}{30,40}`],
  ["polar_oat_", `${a}{40,60}`],
  ["signkey-", `(?:prod|test|branch)-${hex}{32,64}`],
  ["xa", `[ap]t-${uuid}`],
  ["ddw_", `${a}{36,}`],
  ["mdb_sa_sk_", `${w}{40}`],
  ["sk.eyJ", `${w}{60,}\\.${w}{20,}`],
  ["sbp_v0_", `${hex}{40}`],
  ["xsmtpsib-", `${hex}{64}-${a}{16}`],
  ["sm_", `(?:aat|pat|sat)_${a}{16,20}`],
  ["packagist_", `(?:uut|ort)_${a}{40,70}`],
  ["bkct_", `${w}{30,}`],
  ["A3-", "[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}"],
  ["AGE-SECRET-KEY-1", "[0-9A-Z]{58}"],
  // Of today, each by its vendor's documentation
  ["phx_", `${w}{40,52}`],
  ["phs_", `${w}{40,52}`],
  ["CCDB1_", `${a}{22}_${a}{40}`],
  ["apk_", "(?:user_)?[A-Za-z0-9+/_=-]{80,200}"],
  ["cog_", "[a-z2-7]{52}"],
  ["endr+", "[A-Za-z0-9-]{16}"],
  ["unkey_", `${a}{20,32}`],
  ["cfxk_", `${w}{20,100}`],
  ["configcat-sdk-1/", `${w}{22}/${w}{22}`],
  ["Mid-", `(?:server|client)-${w}{16,40}`],
  ["SB-Mid-", `(?:server|client)-${w}{16,40}`],
  ["pk_", `(?:\\d{5,12}_[A-Z0-9]{32}|[a-f0-9]{34})`],
  ["wandb_v1_", "\\w{60,90}"],
  ["essu_", `${w}{60,200}`],
  ["csa_", `${hex}{30}${a}{6}`],
  ["AQ.", `Ab8RN6${w}{40,60}`],
  ["sat.", `${w}{22}\\.${hex}{24}\\.${a}{20}`],
  ["odt_", `${a}{32,48}`],
  ["key_", `${hex}{64}`],
  ["sk_", `${hex}{48}`],
  ["ion_", `${a}{42}`],
  ["ak_", `(?:live|test)_${a}{24,40}`],
  ["VF.", `(?:(?:DM|WS)\\.)?${hex}{24}\\.${a}{16}`],
  ["BBFF-", `${a}{30,40}`],
  ["shltm_", `${w}{40}`],
  ["1000.", `${hex}{32}\\.${hex}{32}`],
  ["sgp_", `${a}{64}`],
  ["sec-c-", uuid],
  ["tkn.v1_", "[A-Za-z0-9=_-]{60,100}"],
  ["pdl_", `(?:live|sdbx)_apikey_[a-z0-9]{26}_${a}{22}_${a}{3}`],
  ["polar_", `[a-z]{2,4}_${a}{30,64}`],
  ["os_v2_", "(?:app|org)_[a-z2-7]{90,110}"],
  ["STS.", `${a}{20,64}`],
  ["rootly_", `${hex}{64}`],
  ["spu-", `${hex}{32}`],
  ["alcht_", `${a}{30}`],
  ["pgar_", `${a}{27}`],
  ["ptr_", "[A-Za-z0-9+/_=-]{36,60}"],
  ["p8e-", `${hex}{32}`],
  ["k2sk_v1_", `${a}{40}`],
  ["api_live", `(?:_ca|_us)?\\.${w}{11}\\.${w}{32}`],
  ["api_sandbox", `(?:_ca|_us)?\\.${w}{11}\\.${w}{32}`],
  ["sl.B", `${w}{100,}`],
  ["xprv", `${a}{100,110}`],
  ["bfl_", `${a}{32,64}`],
  ["fw_", `${a}{22,40}`],
  ["vf_", `${hex}{32,64}`],
  ["ctx7sk-", `${w}{30,64}`],
  ["exa_", `${a}{30,64}`],
  ["sk_car_", `${a}{20,64}`],
  ["PuTTY-User-Key-File-", "\\d: [^\\n]{1,64}"],
  ["S", "[ACNOPUX][A-Z2-7]{56}"],
  ["s.", `(?=${a}*\\d)(?=${a}*[A-Z])${a}{24}`]
]

const isWord = (code: number): boolean =>
  (code >= 48 && code < 58) || (code >= 65 && code < 91) || (code >= 97 && code < 123) || code === 95

interface Format {
  readonly prefix: string
  readonly rest: RegExp
}

/** Formats by the first two characters of their prefix, and a bit for each such pair that there is. */
const byPair = new Map<number, Array<Format>>()
const pairs = new Uint8Array(128 * 128)
const pair = (first: number, second: number): number => (first << 7) | second

for (const [prefix, rest] of formats) {
  const format = { prefix, rest: new RegExp(`(?:${rest})(?![A-Za-z0-9])`, "y") }
  // A prefix of one character stands for all pairs that it begins.
  const seconds = prefix.length > 1 ? [prefix.charCodeAt(1)] : Array.from({ length: 128 }, (_, code) => code)
  for (const second of seconds) {
    const key = pair(prefix.charCodeAt(0), second)
    pairs[key] = 1
    byPair.set(key, [...byPair.get(key) ?? [], format])
  }
}

/** For each pair, the characters that a prefix may have next; any where a prefix ends with the pair. */
const thirds = new Map<number, Uint8Array>()
for (const [key, known] of byPair) {
  const next = new Uint8Array(128)
  for (const { prefix } of known) {
    if (prefix.length > 2) next[prefix.charCodeAt(2)] = 1
    else next.fill(1)
  }
  thirds.set(key, next)
}

/** Whether a token may begin with three characters: a vendor's, or a JSON Web Token. */
export const mayBeVendors = (first: number, second: number, third: number): boolean => {
  if (first > 127 || second > 127) return false
  const key = pair(first, second)
  return (pairs[key] === 1 && (third > 127 || thirds.get(key)?.[third] === 1)) ||
    (first === 101 && second === 121 && third === 74)
}

/** One character over and over: what documentation shows in place of a token. */
const masked = /([xX0*.#-])\1{9,}$/

/** Where a vendor's token that starts here ends; -1 if none does. */
export const vendorTokenEnd = (text: string, start: number): number => {
  const first = codeAt(text, start, text.length)
  const second = codeAt(text, start + 1, text.length)
  if (first > 127 || second > 127) return -1
  const key = pair(first, second)
  if (pairs[key] === 0) return -1
  const before = codeBefore(text, start)
  if (isWord(before) || before === 45 || before === 46) return -1
  for (const { prefix, rest } of byPair.get(key) ?? []) {
    if (!text.startsWith(prefix, start)) continue
    rest.lastIndex = start + prefix.length
    if (rest.test(text) && !masked.test(text.slice(start + prefix.length, rest.lastIndex))) return rest.lastIndex
  }
  return -1
}
