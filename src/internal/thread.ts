/**
 * A thread that does one thing at a time for this process.
 *
 * It may end at any time, and be started again. What was sent to a thread that ends before it replied may have been
 * done or not.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { type MessagePort, parentPort, type Transferable, Worker, workerData } from "node:worker_threads"

/** The thread could not be started, or ended before it replied. */
export class ThreadFailed extends Data.TaggedError("ThreadFailed")<{
  readonly detail: string
  /** Whether something was asked of it: then that may have been carried out. */
  readonly isSent: boolean
}> {}

/** What a thread is started with. */
export interface Options {
  readonly url: URL
  /** What the thread is told when it starts. */
  readonly data: object
  /** How long closing waits for its end, in milliseconds. */
  readonly deadlineMillis: number
  /** How long it may take to load its code, in milliseconds; five seconds unless given. */
  readonly startMillis?: number | undefined
}

/** What a thread says: that it has started, or the reply to what was asked. */
type Said<B> = { readonly reply: B } | "started"
type Hear<B> = (heard: Exit.Exit<B, ThreadFailed>) => void

const messageOf = (cause: unknown): string => cause instanceof Error ? cause.message : "unknown error"

export class Thread<A, B> {
  private readonly options: Options
  private worker: Worker | undefined
  private isStarted = false
  private isClosed = false
  private hear: Hear<B> | undefined
  /** Whether a reply was heard in this turn of the event loop. */
  private hasHeard = false
  private readonly listeners = new Set<Hear<void>>()

  constructor(options: Options) {
    this.options = options
  }

  /** Whether it has started, and not ended. */
  get isUp(): boolean {
    return this.isStarted
  }

  /** Starts it, if it is not there; succeeds when it is. */
  readonly start: Effect.Effect<void, ThreadFailed> = Effect.suspend(() =>
    // It may wait for a lock as long as the deadline when it opens what it works on.
    Effect.timeoutOrElse(this.starting, {
      duration: this.options.deadlineMillis + (this.options.startMillis ?? 5000),
      orElse: () => {
        // Another call may have started it since.
        if (this.isStarted) return Effect.void
        const { worker } = this
        const detail = "the thread that writes does not start: it says nothing"
        const failed = Exit.fail(new ThreadFailed({ detail, isSent: false }))
        this.worker = undefined
        void worker?.terminate()
        // All calls that wait have waited for this one.
        this.tell(failed)
        return failed
      }
    })
  )

  private readonly starting = Effect.callback<void, ThreadFailed>((resume) => {
    if (this.isStarted) return resume(Effect.void)
    this.listeners.add(resume)
    if (this.worker === undefined && !this.isClosed) this.run()
    this.worker?.ref()
  })

  private run(): void {
    try {
      // Without the process's own options, wherever they are given: what they load ahead is for its main thread.
      const worker = new Worker(this.options.url, {
        workerData: this.options.data,
        execArgv: [],
        env: {},
        resourceLimits: { maxYoungGenerationSizeMb: 16 }
      })
      this.worker = worker
      // A reply that was heard may still be on its way to who waits for it.
      const ended = (detail: string) => void setImmediate(() => this.ended(worker, detail))
      worker.on("message", (said: Said<B>) => this.worker === worker ? this.take(said) : undefined)
      worker.on("error", (cause) => ended(messageOf(cause)))
      worker.on("exit", (code) => ended(`it ended with code ${code}`))
    } catch (cause) {
      this.fail(messageOf(cause))
    }
  }

  private tell(exit: Exit.Exit<void, ThreadFailed>): void {
    const all = [...this.listeners]
    this.listeners.clear()
    for (const listener of all) listener(exit)
  }

  private take(said: Said<B>): void {
    // It keeps the process alive only while something waits for it.
    this.worker?.unref()
    if (said === "started") {
      this.isStarted = true
      return this.tell(Exit.void)
    }
    if (this.hasHeard) setImmediate(() => this.pass(said.reply))
    else this.pass(said.reply)
  }

  /**
   * Passes a reply on. Where whoever hears it asks again, the next one may be there before it has returned: that is
   * heard in another turn of the event loop, between which timers and sockets are served.
   */
  private pass(reply: B): void {
    this.hasHeard = true
    setImmediate(() => {
      this.hasHeard = false
    })
    const { hear } = this
    this.hear = undefined
    hear?.(Exit.succeed(reply))
  }

  private ended(worker: Worker, detail: string): void {
    if (this.worker !== worker) return
    this.worker = undefined
    this.fail(detail)
  }

  private fail(detail: string): void {
    const { hear, isStarted } = this
    this.hear = undefined
    this.isStarted = false
    hear?.(Exit.fail(new ThreadFailed({ detail: `the thread that writes has died: ${detail}`, isSent: true })))
    const what = isStarted ? "has died" : "does not start"
    this.tell(Exit.fail(new ThreadFailed({ detail: `the thread that writes ${what}: ${detail}`, isSent: false })))
  }

  /** Asks for something. A second question before the reply is a mistake. */
  readonly ask = (request: A, transfer: ReadonlyArray<Transferable>): Effect.Effect<B, ThreadFailed> =>
    Effect.callback<B, ThreadFailed>((resume) => {
      const { worker } = this
      if (worker === undefined || !this.isStarted) {
        return resume(Exit.fail(new ThreadFailed({ detail: "the thread that writes is not there", isSent: false })))
      }
      this.hear = resume
      worker.ref()
      worker.postMessage({ request }, transfer)
    })

  /** Lets the thread end what it does, and waits for its end no longer than the deadline. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    const { worker } = this
    this.isClosed = true
    if (worker === undefined) return Effect.void
    const end = Effect.callback<void>((resume) => {
      worker.on("exit", () => resume(Effect.void))
      worker.ref()
      worker.postMessage("close", [])
    })
    return Effect.tap(Effect.timeoutOption(end, this.options.deadlineMillis), () =>
      Effect.sync(() => {
        // One that hangs in a call of the system ends with that call.
        if (this.worker === worker) void worker.terminate()
      }))
  })
}

/** A thread is worth its start, about 0.2 s of another core, once this one was held up for so long in all. */
const patienceMillis = 50
/** A thread that does not start, or died, is started again after so long at first, and then after twice as long. */
const restartMillis = 1000
const longestRestartMillis = 60_000

/** Starts a thread once it is worth it, and again where it ended. */
export class Starter {
  private readonly thread: Pick<Thread<never, unknown>, "start">
  private readonly failed: (detail: string) => Effect.Effect<void>
  private heldUp: number
  private startAt = 0
  private wait = restartMillis

  /** `failed` is told why it does not start. */
  constructor(
    thread: Pick<Thread<never, unknown>, "start" | "isUp">,
    failed: (detail: string) => Effect.Effect<void>
  ) {
    this.thread = thread
    this.failed = failed
    this.heldUp = thread.isUp ? patienceMillis : 0
  }

  /** What the thread would have done has held up this one for so many milliseconds. */
  wasHeldUp(millis: number): void {
    this.heldUp += millis
  }

  /** Starts it, if it is worth it now: `now` is of `performance.now()`. */
  startIfWorth(now: number): void {
    if (this.heldUp < patienceMillis || now < this.startAt) return
    this.startAt = now + this.wait
    this.wait = Math.min(this.wait * 2, longestRestartMillis)
    Effect.runFork(Effect.catch(this.thread.start, ({ detail }) => this.failed(detail)))
  }
}

/** What a thread does with requests, and at its end. */
export interface Work<A, B> {
  readonly reply: (request: A) => { readonly reply: B; readonly transfer: ReadonlyArray<Transferable> }
  readonly close: () => void
}

/** Inside the thread: does what is asked for until it is closed. `begin` gets what the thread was started with. */
export const serve = <Data, A, B>(begin: (data: Data) => Work<A, B>): void => {
  const port: MessagePort | null = parentPort
  // Imported by a process: there is nothing to do in it.
  if (port === null) return
  const work = begin(workerData)
  port.on("message", (message: { readonly request: A } | "close") => {
    if (message === "close") {
      work.close()
      port.close()
      return
    }
    const { reply, transfer } = work.reply(message.request)
    port.postMessage({ reply }, transfer)
  })
  port.postMessage("started")
}
