/**
 * The command line as data, and how to run it.
 *
 * @since 0.1.0
 */
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type { PlatformError } from "effect/PlatformError"
import * as References from "effect/References"
import { actions } from "./actions.ts"
import { backup } from "./backup.ts"
import { checkpoint } from "./checkpoint.ts"
import { consistency } from "./consistency.ts"
import { erase, hold, release } from "./erase.ts"
import { BrokenPipe, DoesNotHold, Failed, UsageError } from "./exit.ts"
import { ingest } from "./ingest.ts"
import { keygen, vkey } from "./keygen.ts"
import { partition } from "./partition.ts"
import { prefs } from "./prefs.ts"
import { prove, verifyProof } from "./prove.ts"
import { query } from "./query.ts"
import { relay } from "./relay.ts"
import { resume } from "./resume.ts"
import { agentRun } from "./run.ts"
import { scan } from "./scan.ts"
import { serve } from "./serve.ts"
import { tail } from "./tail.ts"
import { tiles } from "./tiles.ts"
import { verify } from "./verify.ts"

/** `effect-audit` with its verbs. */
export const command = Command.make("effect-audit").pipe(
  Command.withDescription(
    "Record, query, prove and erase events of an audit store in a SQLite file or in PostgreSQL; find personal data " +
      "in logs"
  ),
  Command.withSubcommands([
    ingest,
    query,
    tail,
    agentRun,
    prefs,
    scan,
    keygen,
    vkey,
    checkpoint,
    prove,
    verifyProof,
    consistency,
    verify,
    tiles,
    erase,
    hold,
    release,
    resume,
    backup,
    partition,
    actions,
    relay,
    serve
  ]),
  Command.withExamples([
    { command: "effect-audit ingest --db audit.db < events.ndjson", description: "Record events" },
    { command: "effect-audit query --db audit.db --tenant t_acme --env prod", description: "Show the newest events" }
  ])
)

/** Logs go to standard error, and only when `--log-level` asks: the output carries what was refused. */
const logs = Layer.mergeAll(
  Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)]),
  Layer.succeed(References.MinimumLogLevel, "None" as const)
)

/** Of a wrong call nothing goes to standard output, which may be a file of the user's. */
const presenter = CliOutput.layerPresenter({
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? Effect.andThen(
        Effect.forEach(event.errors, (error) => Console.error(`effect-audit: ${error.message}`), { discard: true }),
        Console.error(hint(event.commandPath))
      )
      : CliOutput.defaultPresenter.present(event)
})
const hint = (commandPath: ReadonlyArray<string>): string => `${commandPath.join(" ")} --help says how it is called`

/** Whether someone who read the output has gone: no error of the program's. */
const isBrokenPipe = ({ reason }: PlatformError): boolean =>
  reason.cause instanceof Error && "code" in reason.cause && reason.cause.code === "EPIPE"

/** A file that is not there is called so; anything else as the platform says it. */
const fileProblem = (error: PlatformError): string =>
  error.reason._tag === "NotFound" && typeof error.reason.pathOrDescriptor === "string"
    ? `there is no file ${error.reason.pathOrDescriptor}`
    : error.message

/** Runs the program with arguments; what fails is printed to standard error. */
export const run = (args: ReadonlyArray<string>) =>
  Command.runWith(command, { version: "0.1.0" })(args).pipe(
    Effect.tapError((error) =>
      error instanceof UsageError
        ? Console.error(`effect-audit: ${error.message}\n${hint(["effect-audit", ...args.slice(0, 1)])}`)
        : error instanceof Failed || error instanceof DoesNotHold
        ? Console.error(`effect-audit: ${error.message}`)
        : error._tag === "PlatformError" && !isBrokenPipe(error)
        ? Console.error(`effect-audit: ${fileProblem(error)}`)
        : Effect.void
    ),
    // A bug: the program must not end without a word.
    Effect.tapDefect((defect) =>
      Console.error(`effect-audit: unexpected: ${defect instanceof Error ? defect.message : "a defect"}`)
    ),
    Effect.mapError((error) => error._tag === "PlatformError" && isBrokenPipe(error) ? new BrokenPipe() : error),
    Effect.provide([logs, presenter])
  )
