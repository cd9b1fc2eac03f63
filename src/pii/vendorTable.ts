/**
 * The tokens that their issuers mark: a line for each form, with the vendor, what the token begins with (or each of
 * several beginnings), what follows it, and where the form is published.
 *
 * A source is an address without its scheme. `github` is GitHub's list of what its secret scanning knows
 * (docs.github.com/en/code-security/reference/secret-security/supported-secret-scanning-patterns); those with a colon
 * are files of open scanners, where a vendor publishes no form of its own:
 *
 * - `gitleaks:` github.com/gitleaks/gitleaks, cmd/generate/config/rules
 * - `betterleaks:` github.com/betterleaks/betterleaks, cmd/generate/config/rules
 * - `trufflehog:` github.com/trufflesecurity/trufflehog, pkg/detectors
 * - `kingfisher:` github.com/mongodb/kingfisher, crates/kingfisher-rules/data/rules
 * - `titus:` github.com/praetorian-inc/titus, pkg/rule/rules
 */

const w = "[A-Za-z0-9_-]"
const a = "[A-Za-z0-9]"
const hex = "[a-f0-9]"
const uuid = `${hex}{8}-${hex}{4}-${hex}{4}-${hex}{4}-${hex}{12}`

const table = String.raw`
# Clouds
AWS | AKIA ASIA ABIA ACCA | [A-Z0-9]{16} | docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
AWS | A3T | [A-Z0-9]{17} | gitleaks:aws.go
AWS | ABSK | [A-Za-z0-9+/]{100,270}={0,2} | gitleaks:aws.go
AWS | bedrock-api-key- | ${w}{20,}[=]{0,2} | gitleaks:aws.go
AWS AppSync | da2- | [a-z0-9]{26} | trufflehog:aws/appsync
Amazon MWS | amzn.mws. | [a-z0-9]{8}-[a-z0-9]{4}-[a-z0-9]{4}-[a-z0-9]{4}-[a-z0-9]{12} | titus:aws.yml
Login with Amazon | amzn1.oa2-cs.v1. | ${hex}{64} | github
Google | AIza | ${w}{35} | titus:google.yml
Google | ya29. | ${w}{20,2048} | titus:google.yml
Google | GOCSPX- | ${w}{28} | titus:google.yml
Google | 1//0 | ${w}{40,250} | titus:google.yml
Alibaba Cloud | LTAI | ${a}{12,30} | betterleaks:alibaba.go
Alibaba Cloud | STS. | ${a}{20,64} | betterleaks:alibaba.go
Tencent Cloud | AKID | ${a}{13,40} | cloud.tencent.com/document/api/598/82370
Yandex Cloud | t1. | ${w}{20,400}={0,2}\.${w}{86}={0,2} | gitleaks:yandex.go
Yandex Cloud | AQVN | ${w}{35,38} | gitleaks:yandex.go
DigitalOcean | do | [opr]_v1_${hex}{64} | gitleaks:digitalocean.go
Databricks | dapi | [a-fA-F0-9]{32}(?:-\d)? | gitleaks:databricks.go
Heroku | HRKU- | ${w}{36,64} | gitleaks:heroku.go
Fly.io | fo1_ | ${w}{43} | gitleaks:flyio.go
Fly.io | fm1 | [ar]_[A-Za-z0-9+/]{90,}={0,3}(?:,fm1[ar]_[A-Za-z0-9+/]{20,}={0,3})* | gitleaks:flyio.go
Fly.io | fm2_ | [A-Za-z0-9+/]{90,}={0,3} | gitleaks:flyio.go
PlanetScale | pscale_ | (?:tkn|oauth|pw)_[A-Za-z0-9_.=-]{32,64} | gitleaks:planetscale.go
Supabase | sb_secret_ | ${w}{20,} | supabase.com/docs/guides/getting-started/api-keys
Supabase | sbp_ | (?:oauth_|v0_)?${hex}{40} | betterleaks:supabase.go
Vercel | vc | [pirakc]_${w}{24,80} | betterleaks:vercel.go
Cloudflare | cf | (?:k|ut|at|oat)_${a}{32,60} | developers.cloudflare.com/fundamentals/api/get-started/token-formats
Cloudflare | v1.0- | ${hex}{24}-${hex}{146} | gitleaks:cloudflare.go
Netlify | nf | [po]_${a}{36,60} | trufflehog:netlify/v2
Render | rnd_ | ${a}{24,40} | betterleaks:render.go
Scalingo | tk-us- | ${w}{48} | gitleaks:scalingo.go
Deno Deploy | ddp_ | ${a}{36,} | trufflehog:deno
Deno Deploy | ddw_ | ${a}{36,} | trufflehog:deno
Neon | napi_ | ${a}{60,70} | betterleaks:neon.go
MongoDB Atlas | mdb_sa_sk_ | ${w}{40} | betterleaks:mongodb.go
Cockroach Labs | CCDB1_ | ${a}{22}_${a}{40} | betterleaks:cockroachlabs.go
Elastic Cloud | essu_ | ${w}{60,200} | betterleaks:elastic.go
Pulumi | pul- | ${hex}{40} | gitleaks:pulumi.go
Infracost | ico- | ${a}{32} | gitleaks:infracost.go
Defined Networking | dnkey- | [A-Z0-9=_-]{26,}-[A-Z0-9=_-]{52} | gitleaks:definednetworking.go
Tailscale | tskey- | ${a}+-${w}{20,} | tailscale.com/kb/1277/key-prefixes
Red Hat OpenShift | sha256~ | ${w}{43} | gitleaks:openshift.go
Portainer | ptr_ | [A-Za-z0-9+/_=-]{36,60} | trufflehog:portainertoken
NATS | SA SC SN SO SP SU SX | [A-Z2-7]{56} | github.com/nats-io/nkeys
HashiCorp Vault | hv | [sbr]\.${w}{24,300} | developer.hashicorp.com/vault/docs/concepts/tokens
HashiCorp Vault | s. | (?=${a}*\d)(?=${a}*[A-Z])${a}{24} | developer.hashicorp.com/vault/docs/concepts/tokens
Doppler | dp. | (?:pt|st|ct|scim|audit|sa)\.(?:[a-z0-9_-]{2,35}\.)?${a}{40,44} | trufflehog:doppler
1Password | ops_ | eyJ[A-Za-z0-9_=-]{100,} | gitleaks:1password.go
1Password | A3- | [A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5} | gitleaks:1password.go
age | AGE-SECRET-KEY-1 | [0-9A-Z]{58} | gitleaks:age.go
PuTTY | PuTTY-User-Key-File- | \d: [^\n]{1,64} | tartarus.org/~simon/putty-snapshots/htmldoc/AppendixC.html
ClickHouse Cloud | 4b1d | (?=[A-Za-z_-]*\d)${a}{38} | gitleaks:clickhouse.go
Confluent Cloud | cflt | [A-Za-z0-9+/]{60} | titus:confluent.yml
DataStax Astra | AstraCS: | ${a}{20,}(?::${a}{20,})? | betterleaks:datastax.go
Dynatrace | dt0 | [a-z]\d{2}\.[A-Z0-9]{24}\.[A-Z0-9]{64} | docs.dynatrace.com/docs/shortlink/token
Exoscale | EXO | (?=[A-Za-z_-]*\d)${a}{24,30} | betterleaks:exoscale.go
RunPod | rpa_ | [A-Z0-9]{40}${a}{6} | betterleaks:runpod.go
Salad | salad_cloud_ | ${a}{1,7}_${a}{16,235} | trufflehog:saladcloudapikey
UpCloud | ucat_ | (?=[A-Za-z_-]*\d)${a}{24,32} | betterleaks:upcloud.go
# Source, build, packages
GitHub | gh | (?:s_\d{1,12}_eyJ${w}{10,}\.${w}{10,}\.${w}{10,}|[pousr]_${a}{36,255}) | docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github
GitHub | github_pat_ | [A-Za-z0-9_]{36,255} | docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github
GitLab | gl | (?:pat|dt|ft|soat|rt|rtr|cbt|ptt|agent|imt|wt|oas|ffct)-${w}{16,}(?:\.[a-z0-9]{2,9}){0,2} | docs.gitlab.com/ee/security/tokens/index.html
GitLab | GR1348941 | ${w}{20} | docs.gitlab.com/ee/security/tokens/index.html
npm | npm_ | ${a}{36} | gitleaks:npm.go
PyPI | pypi- | ${w}{50,} | gitleaks:pypi.go
RubyGems | rubygems_ | ${hex}{48} | gitleaks:rubygems.go
NuGet | oy2 | [a-z0-9]{43} | titus:nuget.yml
crates.io | cio | ${a}{32} | titus:crates.io.yml
Clojars | CLOJARS_ | [a-z0-9]{60} | gitleaks:clojars.go
Private Packagist | packagist_ | (?:uut|ort)_${a}{40,70} | kingfisher:packagist.yml
Private Packagist | packagist_ | (?:ack_${hex}{28,32}|acs_${hex}{64,96}|(?:out|cut)_${hex}{68}) | kingfisher:packagist.yml
Docker | dckr_ | (?:pat|oat)_${w}{27,32} | betterleaks:dockerhub.go
Docker | SWMKEY-1- | [A-Za-z0-9+/]{43} | betterleaks:docker.go
Docker | SWMTKN-1- | ${a}{50}-${a}{25} | betterleaks:docker.go
JFrog Artifactory | AKCp | ${a}{60,73} | gitleaks:artifactory.go
JFrog Artifactory | cmVmd | ${a}{59} | gitleaks:artifactory.go
Cloudsmith | csa_ | ${hex}{30}${a}{6} | betterleaks:cloudsmith.go
SonarQube | sq | [apu]_${a}{40} | gitleaks:sonar.go
Sourcegraph | sgp_ | (?:[A-Fa-f0-9]{16}_|local_)?[A-Fa-f0-9]{40} | gitleaks:sourcegraph.go
Sourcegraph Cody | slk_ | ${hex}{64} | trufflehog:sourcegraphcody
Snyk | snyk_uat. | ${w}{8}\.${w}{20,200} | github.com/snyk/go-application-framework/blob/main/pkg/auth/tokenauthenticator.go
Snyk | snyk_sat. | [a-z0-9]{8}\.${w}+\.${w}+ | github.com/snyk/go-application-framework/blob/main/pkg/auth/tokenauthenticator.go
Endor Labs | endr+ | [A-Za-z0-9-]{16} | trufflehog:endorlabs
Spectral | spu- | ${hex}{32} | trufflehog:spectralops
Dependency-Track | odt_ | ${a}{32,48} | titus:dependency_track.yml
CircleCI | CCIP | (?:AT|RJ)_${w}{20,} | betterleaks:circleci.go
Buildkite | bkct_ | ${w}{30,} | betterleaks:buildkite.go
Buildkite | bk | (?:aa_${w}{75}|aj_${w}{333}|ar_${w}{73}|pt_${w}{199}|pat_${w}{54}|ps_${w}{64}|ua_(?:[a-z0-9]{40}|[a-z0-9]{53})) | betterleaks:buildkite.go
Harness | pat. | ${w}{22}\.${hex}{24}\.${a}{20} | gitleaks:harness.go
Harness | sat. | ${w}{22}\.${hex}{24}\.${a}{20} | gitleaks:harness.go
Octopus Deploy | API- | [A-Z0-9]{26} | gitleaks:octopusdeploy.go
Prefect | pnu_ | [a-z0-9]{36} | gitleaks:prefect.go
Inngest | signkey- | (?:prod|test|branch)-${hex}{32,64} | kingfisher:inngest.yml
Postman | PMAK- | ${hex}{24}-${hex}{34} | gitleaks:postman.go
Postman | PMAT- | [A-Z0-9]{26} | github
LaunchDarkly | sdk- | ${uuid} | trufflehog:launchdarkly
LaunchDarkly | api- | ${uuid} | trufflehog:launchdarkly
ConfigCat | configcat-sdk-1/ | ${w}{22}/${w}{22} | betterleaks:configcat.go
Unkey | unkey_ | ${a}{20,32} | betterleaks:unkey.go
WunderGraph Cosmo | cosmo_ | ${hex}{32} | github.com/wundergraph/cosmo/blob/main/cli/.env.example
Ionic | ion_ | ${a}{42} | betterleaks:ionic.go
Cfx.re | cfxk_ | ${w}{20,100} | betterleaks:cfxre.go
SettleMint | sm_ | (?:aat|pat|sat)_${a}{16,20} | gitleaks:settlemint.go
Cursor | key_ | ${hex}{64} | betterleaks:cursor.go
Aikido | AIK_ | (?:CI_${a}{20,44}|SECRET_${a}{64}) | betterleaks:aikido.go
Authress | authress_ | (?=[A-Za-z_-]*\d)[a-z0-9]{5,30}\.[a-z0-9]{4,6}\.acc[_-][a-z0-9-]{10,32}\.[A-Za-z0-9+/_=-]{30,120} | gitleaks:authress.go
CodeRabbit | cr- | ${hex}{58} | titus:coderabbit.yml
Mergify | mergify_application_key_ | (?=[A-Za-z_-]*\d)${w}{40,200} | betterleaks:mergify.go
SonarQube Cloud | sqco_ | ${a}{59} | trufflehog:sonarcloud/v2
StackHawk | hawk. | ${w}{20}\.${w}{20} | titus:stackhawk.yml
Val Town | vtwn_ | (?=[A-Za-z_-]*\d)${w}{20,80} | betterleaks:valtown.go
WakaTime | waka_ | (?=[A-Za-z_-]*\d)[a-z0-9-]{36,64} | titus:wakatime.yml
Zuplo | zpka_ | [a-z0-9]{32}_${hex}{8} | betterleaks:zuplo.go
# Models
OpenAI | sk- | (?:(?:ant|proj|or|svcacct|admin|lf|None)-(?:[a-z0-9]{2,8}-)?${w}{20,200}|(?=${w}*\d)(?:(?:${a}{2,12}-){0,2}${a}[A-Za-z0-9_]{19,200}|(?=${w}*[A-Z])(?=${w}*[a-z])${w}{32,200})) | gitleaks:openai.go
Google Gemini | AQ. | Ab8RN6${w}{40,60} | betterleaks:gcp.go
Hugging Face | hf_ | (?=${a}*[A-Z])(?=${a}*[a-z])${a}{30,40} | gitleaks:huggingface.go
Hugging Face | api_org_ | ${a}{30,40} | gitleaks:huggingface.go
xAI | xai- | ${a}{60,100} | betterleaks:xai.go
Groq | gsk_ | ${a}{40,60} | betterleaks:groq.go
Perplexity | pplx- | ${a}{40,64} | gitleaks:perplexity.go
Cerebras | csk- | ${a}{40,60} | betterleaks:cerebras.go
Together AI | tgp_v1_ | ${w}{40,50} | betterleaks:togetherai.go
Fireworks AI | fw_ | ${a}{22,40} | titus:fireworksai.yml
Replicate | r8_ | ${a}{37,40} | betterleaks:replicate.go
NVIDIA | nvapi- | ${w}{60,80} | betterleaks:nvidia.go
ElevenLabs | sk_ | ${hex}{48} | betterleaks:elevenlabs.go
Cartesia | sk_car_ | ${a}{20,64} | kingfisher:cartesia.yml
Jina AI | jina_ | ${a}{50,70} | titus:jina.yml
Pinecone | pcsk_ | ${w}{40,80} | betterleaks:pinecone.go
LlamaIndex | llx- | ${w}{36,64} | github.com/run-llama/llama_cloud_services/blob/main/parse.md
LangSmith | lsv2_ | (?:pt|sk)_${hex}{32}_${hex}{10} | betterleaks:langchain.go
Weights & Biases | wandb_v1_ | \w{60,90} | betterleaks:weightsandbiases.go
E2B | e2b_ | ${hex}{40} | kingfisher:e2b.yml
Tavily | tvly- | ${w}{20,64} | titus:tavily.yml
Firecrawl | fc- | ${hex}{32} | titus:firecrawl.yml
Context7 | ctx7sk- | ${w}{30,64} | context7.mintlify.dev/docs/howto/api-keys
Devin | apk_ | (?:user_)?[A-Za-z0-9+/_=-]{80,200} | betterleaks:devin.go
Devin | cog_ | [a-z2-7]{52} | betterleaks:devin.go
Voiceflow | VF. | (?:(?:DM|WS)\.)?${hex}{24}\.${a}{16} | trufflehog:voiceflow
Brave Search | BSA | (?=[A-Za-z_-]*\d)${w}{24,40} | betterleaks:brave.go
Coze | pat_ | (?=[A-Za-z_-]*\d)${a}{64} | titus:coze.yml
Friendli | flp_ | ${a}{46} | titus:friendli.yml
Retell AI | key_ | ${hex}{28} | titus:retellai.yml
Runway | key_ | [a-fA-F0-9]{128} | titus:runway.yml
Voyage AI | pa- | (?=[A-Za-z_-]*\d)${w}{43} | titus:voyageai.yml
# Messages, mail, chat
Slack | xox | [abcdeoprs](?:\.xox[bp])?-(?=[A-Za-z%+/=_-]{0,250}\d)(?:\d-)?[A-Za-z0-9%+/=-]{10,250} | docs.slack.dev/authentication/tokens
Slack | xapp- | [A-Za-z0-9-]{20,150} | docs.slack.dev/authentication/tokens
SendGrid | SG. | ${w}{16,32}\.${w}{16,64} | gitleaks:sendgrid.go
Mailgun | key- | ${hex}{32} | gitleaks:mailgun.go
Brevo | xkeysib- | ${hex}{64}-${a}{16} | gitleaks:sendinblue.go
Brevo | xsmtpsib- | ${hex}{64}-${a}{16} | github
MailerSend | mlsn. | ${hex}{60,70} | betterleaks:mailersend.go
Resend | re_ | ${a}{8,10}_${a}{20,30} | titus:resend.yml
Twilio | SK | [A-Fa-f0-9]{32} | gitleaks:twilio.go
Twilio | AC | [A-Fa-f0-9]{32} | trufflehog:twilio
OneSignal | os_v2_ | (?:app|org)_[a-z2-7]{90,110} | betterleaks:onesignal.go
PubNub | sec-c- | [A-Za-z0-9+/=]{48} | www.pubnub.com/docs/general/setup/account-setup
Facebook | EAA | ${a}{80,250} | gitleaks:facebook.go
Instagram | IGQ | ${w}{80,250} | titus:instagram.yml
GC Notify | gcntfy- | [a-z0-9_]+-${uuid}-${uuid} | betterleaks:gcnotify.go
Klaviyo | pk_ | ${a}{6}_${hex}{34} | trufflehog:klaviyo
Nylas | nyk_ | ${a}{67} | titus:nylas.yml
Telnyx | KEY | (?=[A-Za-z_-]*\d)${w}{55} | betterleaks:telnyx.go
Twitch | live_ | \d{8,12}_${a}{30,36} | titus:twitch.yml
# Payments and shops
Stripe | sk_ | (?:live|test|prod)_${a}{10,247} | docs.stripe.com/keys
Stripe | rk_ | (?:live|test|prod)_${a}{10,247} | docs.stripe.com/keys
Stripe | sk_org_live_ | ${a}{20,} | docs.stripe.com/keys
Stripe | whsec_ | [A-Za-z0-9+/=]{24,96} | github
Square | sq0 | (?:atp-${w}{22}|csp-${w}{43}) | titus:square.yml
Square | EAAA | ${w}{60} | gitleaks:square.go
PayPal Braintree | access_token$ | (?:production|sandbox)\$[a-z0-9]{16}\$${hex}{32} | github.com/dxa4481/truffleHogRegexes/blob/master/truffleHogRegexes/regexes.json
Plaid | access- | (?:sandbox|development|production)-${uuid} | gitleaks:plaid.go
Razorpay | rzp_ | (?:live|test)_${a}{14,24} | trufflehog:razorpay
Paddle | pdl_ | (?:live|sdbx)_apikey_[a-z0-9]{26}_${a}{22}_${a}{3} | betterleaks:paddle.go
Polar | polar_ | [a-z]{2,4}_${a}{30,64} | betterleaks:polar.go
Flutterwave | FLWSECK | (?:_TEST)?-${a}{12,32}-X | gitleaks:flutterwave.go
Flutterwave | FLWSECK_TEST- | ${a}{12} | gitleaks:flutterwave.go
Midtrans | Mid- | (?:server|client)-${w}{16,40} | betterleaks:midtrans.go
Midtrans | SB-Mid- | (?:server|client)-${w}{16,40} | betterleaks:midtrans.go
Pagar.me | ak_ | (?:live|test)_${a}{24,40} | trufflehog:pagarme
Shopify | shp | (?:at|ca|pa|ss)_${a}{32,38} | gitleaks:shopify.go
EasyPost | EZ | [AT]K${a}{54} | gitleaks:easypost.go
Shippo | shippo_ | (?:live|test)_${hex}{40} | gitleaks:shippo.go
Duffel | duffel_ | (?:live|test)_${w}{43} | gitleaks:duffel.go
Flexport | shltm_ | ${w}{40} | trufflehog:flexport
Lob | live_ | ${hex}{35} | gitleaks:lob.go
Lob | test_ | ${hex}{35} | gitleaks:lob.go
Alchemy | alcht_ | ${a}{30} | trufflehog:alchemy
Bitcoin BIP 32 | xprv | ${a}{100,110} | github.com/bitcoin/bips/blob/master/bip-0032.mediawiki
Asaas | aact_ | (?:prod|hmlg)_${w}{20,100} | betterleaks:asaas.go
Databento | db- | (?=[A-Za-z_-]*\d)${a}{29} | betterleaks:databento.go
Mercury | mercury_production_ | [a-z]{3,6}_${a}{40,50}_yrucrem | betterleaks:mercury.go
Proof | prf_ | (?=[A-Za-z_-]*\d)(?:cli_)?${w}{20,80} | betterleaks:proof.go
Ramp | ramp_sec_ | ${a}{48} | trufflehog:ramp
Recharge | sk_ | (?:test_)?(?:1|2|3|5|10)x[123]_[a-fA-F0-9]{64} | trufflehog:rechargepayments
Robinhood Crypto | rh-api- | ${uuid} | trufflehog:robinhoodcrypto
# Work and data
Atlassian | ATATT3 | [A-Za-z0-9+/=_-]{150,250} | gitleaks:atlassian.go
Atlassian | ATCTT3 | [A-Za-z0-9+/=_-]{150,250} | trufflehog:atlassian/v2
Bitbucket | ATBB | ${a}{32} | titus:bitbucket.yml
Bitbucket Data Center | BBDC- | [A-Za-z0-9+/]{40,50} | trufflehog:atlassiandatacenter/bitbucketdatacenter
Salesforce | 3MVG | [A-Za-z0-9_.]{60,100} | trufflehog:salesforceoauth2
Salesforce | 00D | ${a}{12,15}![A-Za-z0-9_.]{60,130} | trufflehog:salesforce
Salesforce | 5AEP861 | [A-Za-z0-9._=]{80,} | trufflehog:salesforcerefreshtoken
HubSpot | pat- | (?:na|eu)\d-${uuid} | trufflehog:hubspot_apikey/v2
Zoho CRM | 1000. | ${hex}{32}\.${hex}{32} | trufflehog:zohocrm
Segment | sgp_ | ${a}{64} | betterleaks:segment.go
Airtable | pat | ${a}{14}\.${hex}{64} | gitleaks:airtable.go
Notion | ntn_ | \d{9,11}${a}{32,40} | gitleaks:notion.go
Notion | secret_ | ${a}{43} | trufflehog:notion
Notion | nrt_ | (?=[A-Za-z_-]*\d)[A-Za-z0-9_]{40,55} | titus:notion.yml
Linear | lin_ | (?:api|oauth)_${a}{32,64} | gitleaks:linear.go
ClickUp | pk_ | (?:\d{5,12}_[A-Z0-9]{32}|${hex}{34}) | trufflehog:clickuppersonaltoken
Teamwork | tkn.v1_ | [A-Za-z0-9=_-]{60,100} | trufflehog:teamworkdesk
Typeform | tfp_ | [A-Za-z0-9_.=-]{59} | gitleaks:typeform.go
Typeform | tfp_ | ${hex}{40} | trufflehog:typeform/v1
ReadMe | rdme_ | [a-z0-9]{70} | gitleaks:readme.go
Figma | figd_ | ${w}{36,} | betterleaks:figma.go
Figma | fig | [ou]_${w}{36,} | trufflehog:figmapersonalaccesstoken/v2
Figma | figp_ | [A-Za-z0-9_=-]{40,54} | trufflehog:figmapersonalaccesstoken/v3
Frame.io | fio-u- | ${w}{64} | gitleaks:frameio.go
Adobe | p8e- | ${hex}{32} | gitleaks:adobe.go
Contentful | CFPAT- | ${w}{43} | trufflehog:contentfulpersonalaccesstoken
Dropbox | sl. | ${w}{60,} | trufflehog:dropbox
Dropbox | sl.u. | ${w}{60,} | trufflehog:dropbox
Mapbox | sk.eyJ | ${w}{60,}\.${w}{20,} | trufflehog:mapbox
Adafruit IO | aio_ | ${a}{28} | trufflehog:adafruitio
Ubidots | BBFF- | ${a}{30,40} | trufflehog:ubidots
Apify | apify_api_ | ${a}{30,40} | betterleaks:apify.go
Sentry | sntry | (?:u_${hex}{64}|s_[A-Za-z0-9+/=_-]{60,}) | gitleaks:sentry.go
Grafana | gls | a_${a}{32}_[A-Fa-f0-9]{8} | gitleaks:grafana.go
Grafana | eyJrIjoi | [A-Za-z0-9+/]{40,400}(?:LCJpZCI6|wiaWQiO|sImlkIj)[A-Za-z0-9+/]{1,12}={0,2} | gitleaks:grafana.go
Grafana | glc_ | [A-Za-z0-9+/]{32,400}={0,3} | gitleaks:grafana.go
New Relic | NR | (?:AK-[A-Z0-9]{27}|BR-${hex}{19}|II-${w}{24,32}|JS-${hex}{19}|RA-${hex}{40}) | titus:newrelic.yml
New Relic | NR | (?:IQ-${w}{25,32}|AA-${hex}{27}) | titus:newrelic.yml
Dynatrace | dt0c01. | [A-Z0-9]{24}\.[A-Z0-9]{64} | docs.dynatrace.com/docs/shortlink/token
Dynatrace | dt0s | (?:16|02)\.[A-Z0-9]{8}\.[A-Z0-9]{64} | docs.dynatrace.com/docs/shortlink/token
Honeycomb | hca | [ik][kc]_${a}{50,70} | docs.honeycomb.io/api/authentication
Honeycomb | hc | [a-z][ilm]k_[a-z0-9]{26,64} | docs.honeycomb.io/api/authentication
Axiom | xa | [ap]t-${uuid} | axiom.co/docs/reference/tokens
PostHog | phx_ | ${w}{40,52} | trufflehog:posthog
PostHog | pha_ | ${w}{40,52} | trufflehog:posthog
PostHog | phs_ | ${w}{40,52} | github
pganalyze | pgar_ | ${a}{27} | trufflehog:pganalyzereadkey
Rootly | rootly_ | ${hex}{64} | betterleaks:rootly.go
Kolide | k2sk_v1_ | ${a}{40} | www.kolide.com/docs/developers/api
Onfido | api_live | (?:_ca|_us)?\.${w}{11}\.${w}{32} | betterleaks:onfido.go
Onfido | api_sandbox | (?:_ca|_us)?\.${w}{11}\.${w}{32} | betterleaks:onfido.go
Bannerbear | bb_ | (?:pr|ma)_${hex}{30} | trufflehog:bannerbear/v2
Branch | key_live_ | ${a}{16,40} | titus:branchio.yml
Canva | cnvca | (?=[A-Za-z_-]*\d)${w}{51} | betterleaks:canva.go
JSON Web Token in base64 | ZXlK | [A-Za-z0-9+/]{32,8192}={0,2} | gitleaks:jwt.go
Close | api_ | (?=[A-Za-z_-]*\d)[A-Za-z0-9.]{45} | trufflehog:closecrm
Fleetbase | flb_ | (?:live|test)_${a}{20,64} | trufflehog:fleetbase
FullStory | na1. | (?=[A-Za-z_-]*\d)[A-Za-z0-9+/]{100} | trufflehog:fullstory/v2
Intra 42 | s-s4t2 | (?:ud|af)-${hex}{64} | gitleaks:intra42.go
Lichess | lip_ | (?=[A-Za-z_-]*\d)[A-Za-z0-9_]{16,60} | betterleaks:lichess.go
New Relic Pixie | px- | (?:api|dep)-${uuid} | titus:newrelic.yml
Nightfall | NF- | ${a}{32} | trufflehog:nightfall
Persona | persona_production_ | (?=[A-Za-z_-]*\d)[a-z0-9_-]{20,80} | betterleaks:persona.go
Pinterest | pina_ | (?=[A-Za-z_-]*\d)${w}{20,200} | betterleaks:pinterest.go
redirect.pizza | rpa_ | ${a}{30} | betterleaks:redirectpizza.go
Riot Games | RGAPI- | ${uuid} | titus:riot.yml
Samsara | samsara_api_ | ${a}{26,32} | betterleaks:samsara.go
Thunderstore | tss_ | (?=[A-Za-z_-]*\d)${w}{20,80} | betterleaks:thunderstore.go
`

/** A form of a vendor's tokens: `rest` is a regular expression. */
export interface TokenForm {
  readonly vendor: string
  readonly prefix: string
  readonly rest: string
  readonly source: string
}

/** All forms, in the order in which they are tried. */
export const tokenForms: ReadonlyArray<TokenForm> = table.split("\n")
  .filter((line) => line !== "" && !line.startsWith("#")).flatMap((line) => {
    const [vendor = "", prefixes = "", rest = "", source = ""] = line.split(" | ")
    return prefixes.split(" ").map((prefix) => ({ vendor, prefix, rest, source }))
  })
