/** The store that a verb works on, and flags that several verbs share. */
import * as Flag from "effect/cli/Flag"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import type { AuditError, IntegrityError } from "../AuditError.ts"
import * as AuditLogger from "../AuditLogger.ts"
import * as Erasure from "../erasure/Erasure.ts"
import * as Ledger from "../ledger/Ledger.ts"
import { parseVkey } from "../ledger/SignedNote.ts"
import * as Signer from "../ledger/Signer.ts"
import * as SigningKey from "../ledger/SigningKey.ts"
import { Env, TenantId } from "../RequestContext.ts"
import * as Sqlite from "../sqlite/Sqlite.ts"
import * as SqliteClient from "../sqlite/SqliteClient.ts"
import * as SqliteLogStore from "../sqlite/SqliteLogStore.ts"
import * as SqlitePreferences from "../sqlite/SqlitePreferences.ts"
import * as SqliteTrail from "../sqlite/SqliteTrail.ts"
import { DoesNotHold, Failed, UsageError } from "./exit.ts"

export const dbFlag = Flag.String("db").pipe(Flag.withDescription("The store: a SQLite file"))
export const tenantFlag = Flag.String("tenant").pipe(
  Flag.withSchema(TenantId),
  Flag.withDescription("The tenant, such as t_acme")
)
export const envFlag = Flag.String("env").pipe(Flag.withSchema(Env), Flag.withDescription("The env, such as prod"))

const timePattern = /^\d{4}-\d\d-\d\d(?:[Tt]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:[Zz]|[+-]\d\d:\d\d))?$/
const parseTime = (value: string): Option.Option<DateTime.Utc> =>
  timePattern.test(value) ? Option.map(DateTime.make(value), DateTime.toUtc) : Option.none()

/** A time; a day begins at midnight in UTC. */
export const timeFlag = (name: string, description: string) =>
  Flag.String(name).pipe(
    Flag.filterMap((value) => parseTime(value), (value) => `${value} is not a date or RFC 3339 time`),
    Flag.withDescription(description)
  )

const waiting = { deadline: "10 seconds" } as const

/** Everything that writes and reads one file. */
export const writable = (filename: string, options: Partial<Sqlite.Options> = {}) =>
  AuditLogger.layer().pipe(Layer.provideMerge(Sqlite.layer({ ...waiting, ...options, filename })))

/** What only reads a file, which must exist. */
export const readable = (filename: string) =>
  Layer.mergeAll(SqliteTrail.layer, SqlitePreferences.layer).pipe(
    Layer.provide(SqliteClient.layer({ ...waiting, filename, mustExist: true }))
  )

/** The ledger of a file that is opened for reading only. */
export const verifiable = (filename: string) =>
  Ledger.layer.pipe(Layer.provide(SqliteLogStore.layerReadOnly({ ...waiting, filename })))

/** Erasure over a file, which must exist. */
export const erasable = (filename: string) => Erasure.layer.pipe(Layer.provide(writable(filename, { mustExist: true })))

/** Where the key is that signs, and the signer's state. */
export interface SigningOptions {
  readonly keyFile: string
  readonly state: Option.Option<string>
  readonly newSigner: boolean
}

export const keyFileFlag = Flag.String("key-file").pipe(
  Flag.withDescription("The signing key, as keygen wrote it; readable by its owner only")
)
export const signingFlags = {
  state: Flag.String("state").pipe(
    Flag.optional,
    Flag.withDescription("The signer's state; the key file's name and .state unless given")
  ),
  newSigner: Flag.Boolean("new-signer").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Make a missing signer's state: this key has signed nothing before")
  )
}

/** Where the signer's state is, unless it is said. */
export const statePath = (keyFile: string, state: Option.Option<string>): string =>
  Option.getOrElse(state, () => `${keyFile}.state`)

/** The ledger of a file, which must exist; it signs on demand. */
export const signing = (filename: string, { keyFile, newSigner, state }: SigningOptions) =>
  Layer.unwrap(Effect.map(SigningKey.fromFile(keyFile), (key) =>
    Ledger.layerOnDemand.pipe(
      Layer.provide(Signer.layer({ key })),
      Layer.provide(
        Sqlite.layer({ ...waiting, filename, mustExist: true, signer: { state: statePath(keyFile, state), newSigner } })
      )
    )))

/** What lets a log of a file go on: its logs, the engine that records it, and the signer. */
export const resumable = (filename: string, { keyFile, newSigner, state }: SigningOptions) =>
  Layer.unwrap(
    Effect.map(SigningKey.fromFile(keyFile), (key) =>
      Layer.mergeAll(AuditLogger.layer(), Signer.layer({ key })).pipe(
        Layer.provideMerge(
          Sqlite.layer({
            ...waiting,
            filename,
            mustExist: true,
            signer: { state: statePath(keyFile, state), newSigner }
          })
        )
      ))
  )

/** An error of the ledger: exit 1 where the evidence does not hold, 2 where something could not be done. */
export const judged = Effect.mapError((error: AuditError | IntegrityError) =>
  error._tag === "IntegrityError" ? new DoesNotHold({ message: error.message }) : toFailed(error)
)

/** Verifier keys: text, or the name of a file after an `@`. */
export const vkeyFlag = Flag.String("vkey").pipe(
  Flag.between(1, 100),
  Flag.withDescription(
    "The verifier key that keygen printed, or a log's own; @FILE reads it from a file. Repeated, or one a line, " +
      "for keys " +
      "that signed one after another"
  )
)

/** The text of a file that someone named. */
export const readText = (file: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fileSystem) =>
    Effect.mapError(
      fileSystem.readFileString(file),
      (error) => new Failed({ message: `${file} cannot be read: ${error.reason._tag}` })
    ))

/** Reads verifier keys, and refuses what is not one. */
export const readVkeys = Effect.fnUntraced(function*(given: ReadonlyArray<string>) {
  const texts = yield* Effect.forEach(
    given,
    (text) => text.startsWith("@") ? readText(text.slice(1)) : Effect.succeed(text)
  )
  const keys = texts.flatMap((text) => text.split("\n")).map((line) => line.trim()).filter((line) => line !== "")
  if (keys.length > 0 && keys.every((key) => parseVkey(key) !== undefined)) return keys
  return yield* new UsageError({ message: "--vkey is not an Ed25519 verifier key: name+id+base64, or @FILE" })
})

/** Writes text to standard output as it is. */
export const print = (text: string) =>
  Effect.flatMap(Stdio.Stdio, (stdio) => Stream.make(text).pipe(Stream.run(stdio.stdout({ endOnDone: false }))))

/** An error of the store as a message to the user; where a flag is the way on, it is named. */
export const toFailed = (error: AuditError): Failed => {
  const isState = error.reason._tag === "SignerRefused" && error.method === "SignerState"
  return new Failed({ message: isState ? `${error.message} (--state FILE, --new-signer)` : error.message })
}

/** Turns errors of the store into messages. */
export const failing = Effect.mapError(toFailed)
