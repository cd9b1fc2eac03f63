/**
 * One configuration for an application and the command line: the store, how it is written, and who signs.
 *
 *     // audit.config.ts
 *     const store = Sqlite.store({ filename: "audit.db" })
 *     export default AuditConfig.make({ store, deployment, policy, keys, detectors, signer })
 *
 * The application provides `AuditConfig.layer(config)`, and the command line takes `--config audit.config.ts`. So both
 * strip alike: an event that was stored with personal data in it cannot be taken back.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditError, InvalidInput } from "../AuditError.ts"
import * as AuditLogger from "../AuditLogger.ts"
import type { Registry } from "../AuditRegistry.ts"
import * as Erasure from "../erasure/Erasure.ts"
import type { EventSink } from "../EventSink.ts"
import { pointer } from "../internal/json.ts"
import * as Ledger from "../ledger/Ledger.ts"
import type { LogStore } from "../ledger/LogStore.ts"
import * as Signer from "../ledger/Signer.ts"
import * as SigningKey from "../ledger/SigningKey.ts"
import type { LoggingEngine, Options as EngineOptions } from "../LoggingEngine.ts"
import type { Detector, PseudonymKey } from "../pii/Pii.ts"
import type { Policy } from "../pii/Policy.ts"
import type { Options as PiiOptions } from "../PiiStripper.ts"
import type { AuditTrail } from "../trail/AuditTrail.ts"
import type { TrainingPreferences } from "../TrainingPreferences.ts"
import type { Transactions } from "../Transactions.ts"
import type { WritePolicy } from "../WritePolicy.ts"

/** What every medium gives. */
export type AuditStore =
  | EventSink
  | Transactions
  | TrainingPreferences
  | AuditTrail
  | LogStore
  | Signer.SignerState
  | WritePolicy

/** What a medium is opened with, beside its own options. */
export interface Opening {
  /** Names the deployment in the origins of its logs. */
  readonly deployment?: string | undefined
  /** Where the state of the signer is; without it nothing can be signed. */
  readonly signer?: { readonly state: string; readonly newSigner?: boolean | undefined } | undefined
}

/** A medium that is not open yet: `Sqlite.store(...)`, `Memory.store`. */
export interface Store<in Own = never> {
  readonly open: (opening: Opening) => Layer.Layer<AuditStore | Own, AuditError>
}

/** Who signs, and where what was signed is remembered. */
export interface SignerConfig {
  /** A signing key, or the name of a file as `keygen` writes it. */
  readonly key: SigningKey.SigningKey | string
  /** Where the state is: kept apart from backups of the store. The name of the key's file and `.state` unless given. */
  readonly state?: string | undefined
  /** Whether the state may be made anew: nothing was signed by this key before. Not unless given. */
  readonly newSigner?: boolean | undefined
  /** How often heads that have grown are signed; every minute unless given. */
  readonly interval?: Duration.Input | undefined
}

/** What a configuration says. */
export interface Options<Own = never> extends EngineOptions {
  readonly store: Store<Own>
  /** Names the deployment in the origins of its logs: a host name without scheme. */
  readonly deployment?: string | undefined
  /** What replaces what is found; masks unless given. */
  readonly policy?: Policy | undefined
  readonly keys?: { readonly pseudonyms?: PseudonymKey | undefined } | undefined
  readonly detectors?: ReadonlyArray<Detector> | undefined
  /** Change it whenever a detector of your own changes: functions cannot be compared. */
  readonly revision?: string | undefined
  /** Fingerprints of policies that the store may have been written under, so that this one may follow. */
  readonly replaces?: ReadonlyArray<string> | undefined
  readonly signer?: SignerConfig | undefined
  /** Typed actions: fields are treated as they mark them, whoever records; and what `effect-audit actions` prints. */
  readonly actions?: Pick<Registry, "descriptions" | "mark"> | undefined
}

const mark = Symbol.for("effect-audit/AuditConfig")

/** A configuration; `make` makes one. */
export class AuditConfig<in Own = never> {
  readonly [mark] = true
  readonly options: Options<Own>
  constructor(options: Options<Own>) {
    this.options = Object.freeze({ ...options })
  }
}

/** Makes a configuration. It opens nothing, and is checked where it is used. */
export const make = <Own = never>(options: Options<Own>): AuditConfig<Own> => new AuditConfig(options)

/** Whether a value is a configuration, of this or of another copy of the package. */
export const isLike = (value: unknown): boolean => typeof value === "object" && value !== null && mark in value

/** Whether a value is a configuration that this copy of the package made. */
export const is = (value: unknown): value is AuditConfig => value instanceof AuditConfig

const fields: ReadonlySet<string> = new Set<keyof Options>([
  "store",
  "deployment",
  "policy",
  "keys",
  "detectors",
  "revision",
  "replaces",
  "signer",
  "actions",
  "deadline",
  "limits",
  "pendingBytes"
])
const signerFields: ReadonlySet<string> = new Set<keyof SignerConfig>(["key", "state", "newSigner", "interval"])

const unknownIn = (value: object, known: ReadonlySet<string>): string | undefined =>
  Object.keys(value).find((key) => !known.has(key))

/** What is wrong with a configuration: a misspelt field would be left out silently. */
const problemOf = ({ options }: AuditConfig): InvalidInput | undefined => {
  const { actions, signer, store } = options
  const wrong = unknownIn(options, fields)
  if (wrong !== undefined) {
    return new InvalidInput({ path: pointer([wrong]), detail: "is not a field of a configuration" })
  }
  if (typeof store !== "object" || store === null || typeof store.open !== "function") {
    return new InvalidInput({ path: "/store", detail: "is missing: Sqlite.store({ filename }), or Memory.store" })
  }
  if (actions !== undefined && typeof actions.mark !== "function") {
    return new InvalidInput({ path: "/actions", detail: "is no registry of actions: AuditRegistry.make(...)" })
  }
  if (signer === undefined) return undefined
  const other = unknownIn(signer, signerFields)
  if (other !== undefined) {
    return new InvalidInput({ path: pointer(["signer", other]), detail: "is not a field of a signer" })
  }
  if (stateOf(signer) !== undefined) return undefined
  return new InvalidInput({ path: "/signer/state", detail: "is missing: where is remembered what this key signed" })
}

/** A configuration that can be meant, else `InvalidInput` with the place. */
export const check = <Own>(config: AuditConfig<Own>): Effect.Effect<AuditConfig<Own>, AuditError> => {
  const reason = problemOf(config)
  return reason === undefined ? Effect.succeed(config) : Effect.fail(new AuditError({ method: "AuditConfig", reason }))
}

/** How events are stripped. */
export const pii = <Own>({ options }: AuditConfig<Own>): PiiOptions => ({
  policy: options.policy,
  key: options.keys?.pseudonyms,
  detectors: options.detectors,
  revision: options.revision,
  replaces: options.replaces
})

/** How a logger is made. */
export const logging = <Own>(config: AuditConfig<Own>): AuditLogger.Options => {
  const { actions, deadline, limits, pendingBytes } = config.options
  return { actions, deadline, limits, pendingBytes, pii: pii(config) }
}

/** Where the state of a signer is, by its configuration. */
export const stateOf = ({ key, newSigner, state }: SignerConfig): Opening["signer"] => {
  const path = state ?? (typeof key === "string" ? `${key}.state` : undefined)
  return path === undefined ? undefined : { state: path, newSigner }
}

/** The key of a signer. */
export const keyOf = ({ key }: SignerConfig): Effect.Effect<SigningKey.SigningKey, AuditError> =>
  typeof key === "string" ? SigningKey.fromFile(key) : Effect.succeed(key)

/** What an application has. */
export type Services = AuditLogger.AuditLogger | LoggingEngine | Ledger.Ledger | Erasure.Erasure | AuditStore

/**
 * Everything that a configuration says, open: logger, trail, ledger, erasure, and the store. With a signer, heads that
 * have grown are signed on its interval.
 */
export const layer = <Own>(config: AuditConfig<Own>): Layer.Layer<Services | Own, AuditError> => {
  const { deployment, signer, store } = config.options
  const ledger = signer === undefined
    ? Ledger.layer
    : Layer.unwrap(
      Effect.map(
        keyOf(signer),
        (key) => Ledger.layerSigning({ interval: signer.interval }).pipe(Layer.provide(Signer.layer({ key })))
      )
    )
  const open = Layer.suspend(() =>
    Layer.mergeAll(ledger, Erasure.layer).pipe(
      Layer.provideMerge(AuditLogger.layer(logging(config))),
      Layer.provideMerge(store.open({ deployment, signer: signer === undefined ? undefined : stateOf(signer) }))
    )
  )
  return Layer.unwrap(Effect.as(check(config), open))
}
