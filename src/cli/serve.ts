/** `effect-audit serve`: the viewer over a store, for whoever has its token. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Etag from "effect/http/Etag"
import type * as HttpPlatform from "effect/http/HttpPlatform"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { createHash, randomBytes, timingSafeEqual } from "node:crypto"
import { AuditPolicy, type Operation } from "../http/AuditApi.ts"
import * as AuditApiLive from "../http/AuditApiLive.ts"
import * as HttpAudit from "../http/HttpAudit.ts"
import { type Env, human, Id, type TenantId } from "../RequestContext.ts"
import * as Viewer from "../viewer/Viewer.ts"
import { Failed, UsageError } from "./exit.ts"
import { noLog } from "./noLog.ts"
import { type StoreArgs, storeFlags } from "./opened.ts"
import {
  envFlag,
  failing,
  print,
  readable,
  readText,
  served,
  type SigningArgs,
  signingFlags,
  tenantFlag
} from "./store.ts"

/** Listens on a port: given by the program, since it is the platform's. */
export class Listener extends Context.Service<Listener, {
  readonly listen: (
    address: { readonly host: string; readonly port: number }
  ) => Layer.Layer<HttpServer.HttpServer | HttpPlatform.HttpPlatform | Etag.Generator, Failed>
}>()("effect-audit/cli/Listener") {}

/** What the viewer needs; nothing that changes the log. */
const allowed = new Set<Operation>(["read", "export", "follow", "prove", "verify"])
const policy = Layer.succeed(
  AuditPolicy,
  AuditPolicy.of({ allows: (operation) => Effect.succeed(allowed.has(operation)) })
)

const digest = (text: string) => createHash("sha256").update(text).digest()

const isLoopback = (host: string): boolean => /^(?:127(?:\.\d{1,3}){3}|::1|localhost)$/.test(host)

interface Args extends StoreArgs, SigningArgs {
  readonly tenant: TenantId
  readonly env: Env
  readonly host: string
  readonly port: number
  readonly as: string
  readonly tokenFile: Option.Option<string>
}

/** The token of whoever may look: that of a file, or a new one. */
const tokenOf = Effect.fnUntraced(function*({ host, tokenFile }: Args) {
  if (Option.isNone(tokenFile)) {
    if (isLoopback(host)) return randomBytes(32).toString("base64url")
    return yield* new UsageError({ message: "give --token-file FILE to be reached from other machines" })
  }
  const token = (yield* readText(tokenFile.value)).trim()
  return /^[\w-]{32,128}$/.test(token)
    ? token
    : yield* new UsageError({ message: "the token is 32 to 128 of A-Z a-z 0-9 _ -" })
})

const serving = (args: Args, token: string) => {
  const wanted = digest(`Bearer ${token}`)
  const audit = HttpAudit.layer({
    identify: ({ headers }) =>
      timingSafeEqual(digest(headers["authorization"] ?? ""), wanted)
        ? Effect.succeed({ tenantId: args.tenant, env: args.env, actor: human(args.as), surface: "viewer" })
        : Effect.fail(new HttpAudit.Unauthenticated({ detail: "The token of this viewer is required" })),
    anonymous: { tenantId: args.tenant, env: args.env }
  })
  return HttpRouter.serve(Layer.mergeAll(AuditApiLive.layer, Viewer.layer({ path: "/viewer" })), {
    disableLogger: true,
    disableListenLog: true
  }).pipe(Layer.provide([audit, policy]), Layer.provide(served(args, args)))
}

const run = Effect.fnUntraced(function*(args: Args) {
  const token = yield* tokenOf(args)
  const { listen } = yield* Listener
  // What is looked at there would be the first entry of a log that nobody wants.
  const why = yield* Effect.provide(noLog({ tenantId: args.tenant, env: args.env }), readable(args))
  if (why !== undefined) return yield* new Failed({ message: why })
  const server = serving(args, token).pipe(Layer.provideMerge(listen(args)))
  yield* Effect.scoped(Effect.gen(function*() {
    const { address } = Context.get(yield* Layer.build(server), HttpServer.HttpServer)
    if (address._tag === "UnixPathAddress") return
    const host = args.host.includes(":") ? `[${args.host}]` : args.host
    const shown = Option.isNone(args.tokenFile) ? `#token=${token}` : "#token=<the token of the file>"
    yield* print(`http://${host}:${address.port}/viewer${shown}\n`)
    yield* Console.error("Serving until interrupted. Whoever has the token may read; each reading is recorded.")
    return yield* Effect.never
  })).pipe(
    Effect.catchTag("PageMissing", (error) => Effect.fail(new Failed({ message: error.message })))
  )
})

export const serve = Command.make(
  "serve",
  {
    ...storeFlags,
    tenant: tenantFlag,
    env: envFlag,
    host: Flag.String("host").pipe(
      Flag.withDefault("127.0.0.1"),
      Flag.withDescription(
        "The address to listen on, 127.0.0.1 unless given; another than this machine's own needs --token-file"
      )
    ),
    port: Flag.Int("port").pipe(
      Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65_535 }))),
      Flag.withDefault(4180),
      Flag.withDescription("The port, 4180 unless given; 0 takes any that is free")
    ),
    as: Flag.String("as").pipe(
      Flag.withSchema(Id),
      Flag.withDefault(Id.make("operator")),
      Flag.withDescription("Who reads, as the log records it; operator unless given")
    ),
    tokenFile: Flag.String("token-file").pipe(
      Flag.optional,
      Flag.withDescription("A file with the token, 32 to 128 of A-Z a-z 0-9 _ -; a new one is printed unless given")
    ),
    ...signingFlags
  },
  (args) => failing(run(args))
).pipe(
  Command.withDescription(
    "Show the log of one tenant and env in a browser: search, follow, prove. Prints the address with its token. " +
      "With --key-file proofs cover every event. Exit 2: could not be done or called wrongly."
  ),
  Command.withExamples([{
    command: "effect-audit serve --db audit.db --tenant t_acme --env prod",
    description: "Look at a log on this machine"
  }])
)
