/**
 * PostgreSQL as the store of a verb: its address is a URL without a password.
 *
 * Needs the optional peer `@effect/sql-pg`, and says so when it is missing.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { SqlClient } from "effect/sql/SqlClient"
import { Failed, UsageError } from "./exit.ts"

/**
 * Whether the name of a store is meant as the address of a database. What looks like one of another kind is as well: it
 * is refused by `parseAddress`, and not printed as the name of a file, since it may have a password in it.
 */
export const isAddress = (name: string): boolean =>
  /^postgres(?:ql)?:|:\/\/|:\/[^/].*@|^\s*(?:postgres|pg|mysql)\w*\/\//i.test(name)

/** Where a store is in a database. */
export interface Address {
  /** As it may be printed. */
  readonly text: string
  readonly host: string
  readonly port: number
  readonly database: string
  readonly username: string
  readonly schema: string | undefined
  readonly url: string
}

/** Parameters of an address: the store's schema, and those of the driver. */
const parameters = new Set([
  "schema",
  "sslmode",
  "sslcert",
  "sslkey",
  "sslrootcert",
  "sslnegotiation",
  "uselibpqcompat",
  "application_name",
  "options",
  "connect_timeout",
  "host",
  "port"
])

/** Reads an address, as libpq does; the schema is that of the parameter `schema`. */
export const parseAddress = (text: string): Effect.Effect<Address, UsageError> => {
  const url = URL.parse(text)
  const refuse = (message: string) => Effect.fail(new UsageError({ message }))
  if (url === null || !/^postgres(?:ql)?:\/\//i.test(text)) {
    return refuse("the address is not postgres://USER@HOST:PORT/DATABASE")
  }
  if (url.password !== "" || url.searchParams.has("password")) {
    return refuse("the address has a password, which others see: give it by PGPASSWORD, or in ~/.pgpass")
  }
  if (url.username === "") return refuse("the address names no user: postgres://USER@HOST:PORT/DATABASE")
  for (const name of new Set(url.searchParams.keys())) {
    if (!parameters.has(name)) return refuse(`the address has a parameter that is not known: ${name}`)
    if (url.searchParams.getAll(name).length > 1) return refuse(`the address has the parameter ${name} twice`)
  }
  const schema = url.searchParams.get("schema") ?? undefined
  url.searchParams.delete("schema")
  const username = decodeURIComponent(url.username)
  return Effect.succeed({
    text,
    host: url.hostname === "" ? "localhost" : url.hostname,
    port: url.port === "" ? 5432 : Number(url.port),
    database: url.pathname.length > 1 ? decodeURIComponent(url.pathname.slice(1)) : username,
    username,
    schema,
    url: url.href
  })
}

/** The fields of a line of a password file: `\:` and `\\` are characters of them. */
const fieldsOf = (line: string): ReadonlyArray<string> =>
  [...line.matchAll(/(?:^|:)((?:\\.|[^:\\])*)/g)].map(([, field = ""]) => field.replaceAll(/\\(.)/g, "$1"))

/** The password of an address in a password file (https://www.postgresql.org/docs/current/libpq-pgpass.html). */
export const passwordIn = (file: string, { database, host, port, username }: Address): string | undefined => {
  const wanted = [host, String(port), database, username]
  for (const line of file.split("\n")) {
    if (line === "" || line.startsWith("#")) continue
    const fields = fieldsOf(line.replace(/\r$/, ""))
    if (wanted.every((value, at) => fields[at] === "*" || fields[at] === value)) return fields[4]
  }
  return undefined
}

const inFile = Effect.fnUntraced(function*(address: Address) {
  const files = yield* FileSystem.FileSystem
  const home = yield* Config.option(Config.String("HOME"))
  const named = yield* Config.option(Config.String("PGPASSFILE"))
  const file = Option.getOrElse(named, () => `${Option.getOrElse(home, () => "")}/.pgpass`)
  const found = yield* Effect.option(files.stat(file))
  if (Option.isNone(found)) return undefined
  if ((found.value.mode & 0o077) !== 0) {
    return yield* new Failed({ message: `${file} can be read by others: chmod 0600 ${file}` })
  }
  return passwordIn(yield* files.readFileString(file), address)
})

/** The password of an address: from the environment, or the password file. */
const passwordOf = (address: Address) =>
  Effect.flatMap(Config.option(Config.Redacted("PGPASSWORD")), (given) =>
    Option.isSome(given)
      ? Effect.succeed(given.value)
      : Effect.map(inFile(address), (found) => found === undefined ? undefined : Redacted.make(found)))

const driver = Effect.tryPromise({
  try: () => import("@effect/sql-pg/PgClient"),
  catch: (cause) =>
    new Failed({
      message: cause instanceof Error && "code" in cause && cause.code === "ERR_MODULE_NOT_FOUND"
        ? "a store in PostgreSQL needs @effect/sql-pg: npm install @effect/sql-pg"
        : "@effect/sql-pg cannot be loaded"
    })
})

/** A client for an address. */
export const clientOf = (address: Address): Layer.Layer<SqlClient, Failed, FileSystem.FileSystem> =>
  Layer.unwrap(Effect.gen(function*() {
    const PgClient = yield* driver
    const password = yield* Effect.mapError(
      passwordOf(address),
      (error) => error instanceof Failed ? error : new Failed({ message: "the password file cannot be read" })
    )
    return Layer.unwrap(Effect.map(
      Effect.mapError(
        Layer.build(PgClient.layer({
          url: Redacted.make(address.url),
          password,
          applicationName: "effect-audit",
          maxConnections: 4
        })),
        () => new Failed({ message: `${address.text} is no address of PostgreSQL` })
      ),
      (context) => Layer.succeedContext(context)
    ))
  }))
