/** One event: what it says, what was taken out of it, its change, its JSON, and its proof, checked here. */
import { useState } from "preact/hooks"
import { page, proofOf } from "./api.ts"
import type { Event, Item } from "./event.ts"
import { check } from "./proof.ts"
import { since } from "./search.ts"
import { visible } from "./visible.ts"

const placeholder = /(\[[A-Z][A-Z_]{1,31}(?::[^\]]{1,90})?\])/

/** A text whose redactions can be seen. Everything is text: nothing of an event is ever markup. */
const Text = ({ text }: { readonly text: string }) => (
  <>{visible(text).split(placeholder).map((part, i) => i % 2 === 1 ? <mark key={i}>{part}</mark> : part)}</>
)

const isObject = (value: unknown): value is { readonly [name: string]: unknown } =>
  typeof value === "object" && value !== null

const Value = ({ value }: { readonly value: unknown }) => (
  <pre tabIndex={0}><Text text={typeof value === "string" ? value : JSON.stringify(value, undefined, 2)} /></pre>
)

/** What changed, field by field. */
const Diff = ({ after, before }: { readonly before: unknown; readonly after: unknown }) => {
  const [old, now] = [isObject(before) ? before : { value: before }, isObject(after) ? after : { value: after }]
  const names = [...new Set([...Object.keys(old), ...Object.keys(now)])]
  const text = (value: unknown) => value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value)
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Field</th>
          <th scope="col">Before</th>
          <th scope="col">After</th>
        </tr>
      </thead>
      <tbody>
        {names.filter((name) => text(old[name]) !== text(now[name])).map((name) => (
          <tr key={name}>
            <th scope="row">{visible(name)}</th>
            <td class="before">
              <Text text={text(old[name])} />
            </td>
            <td class="after">
              <Text text={text(now[name])} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

/** When the newest event under a checkpoint of a size was recorded: how old the checkpoint is at most. */
const coveredUntil = async (size: number): Promise<string | undefined> => {
  const { items: [newest] } = await page({ after: String(size - 2), limit: "1" }, new AbortController().signal)
  return newest === undefined || newest.erased ? undefined : newest.event.recorded_at
}

const savedKey = "audit-vkey"

/** Asks the server for a proof, and believes none of it. */
const ProofCheck = ({ event, eventId }: { readonly eventId: string; readonly event: Event | undefined }) => {
  const [vkey, setVkey] = useState(localStorage.getItem(savedKey) ?? "")
  const [said, setSaid] = useState<{ readonly text: string; readonly kind: "good" | "bad" | "busy" }>()
  const run = async () => {
    setSaid({ kind: "busy", text: "Checking …" })
    try {
      const proven = await check(await proofOf(eventId), vkey)
      if (proven.event !== undefined && JSON.parse(proven.event).event_id !== eventId) {
        throw new Error("it is of another event")
      }
      if (proven.event !== undefined && event !== undefined && !sameEvent(JSON.parse(proven.event), event)) {
        throw new Error("the event shown here is not the one that was logged")
      }
      localStorage.setItem(savedKey, vkey)
      // The proof holds whatever comes of this: where the age cannot be had, none is shown.
      const until = await coveredUntil(proven.size).catch(() => undefined)
      const age = until === undefined
        ? ""
        : `, which covers what was recorded until ${until.slice(0, 19)} (${since(until)})`
      const at = `position ${proven.position} of ${proven.origin}, under the checkpoint of ${proven.size} entries${age}`
      setSaid({ kind: "good", text: proven.event === undefined ? `Holds: an erased entry, ${at}` : `Holds: ${at}` })
    } catch (error) {
      setSaid({ kind: "bad", text: `Does not hold: ${error instanceof Error ? error.message : "it cannot be read"}` })
    }
  }
  return (
    <section aria-label="Proof">
      <h3>Proof</h3>
      <label>
        Verifier key (from keygen, not from this server)
        <input value={vkey} spellcheck={false} onInput={({ currentTarget }) => setVkey(currentTarget.value)} />
      </label>
      <button type="button" disabled={vkey === ""} onClick={() => void run()}>Check the proof here</button>
      <p role="status" class={`proof ${said?.kind ?? ""}`}>{said?.text}</p>
    </section>
  )
}

const sameEvent = (a: unknown, b: unknown): boolean => {
  if (!isObject(a) || !isObject(b)) return a === b
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every((name) => sameEvent(a[name], b[name]))
}

interface Props {
  readonly item: Item
  readonly onClose: () => void
  readonly onTerm: (field: string, value: string) => void
}

export const Drawer = ({ item, onClose, onTerm }: Props) => {
  const event = item.erased ? undefined : item.event
  const run = event?.run_id
  const pivots = {
    request: event?.request_id,
    trace: event?.trace_id,
    operation: event?.operation_id,
    actor: event?.agentId
  }
  const copy = () => void navigator.clipboard.writeText(JSON.stringify(event ?? item, undefined, 2))
  return (
    <aside class="drawer" aria-label={`Event at position ${item.position}`}>
      <header>
        <h2>{event?.action ?? "Erased event"}</h2>
        <button type="button" aria-label="Close" onClick={onClose}>×</button>
      </header>
      <p class="ids">{item.eventId}</p>
      {run !== undefined && (
        <p class="ids">
          Run {run} <button type="button" onClick={() => onTerm("run", run)}>Show the run</button>
        </p>
      )}
      {event !== undefined && (
        <>
          <div class="actions" role="group" aria-label="Actions">
            <button type="button" onClick={copy}>Copy JSON</button>
            {Object.entries(pivots).map(([field, value]) =>
              value !== undefined && (
                <button type="button" key={field} onClick={() => onTerm(field, value)}>All of this {field}</button>
              )
            )}
          </div>
          {event.pii_flags.flags.length > 0 && (
            <p>Taken out: {event.pii_flags.flags.map((flag) => <mark key={flag}>{flag}</mark>)}</p>
          )}
          {event.change !== undefined && (
            <section aria-label="Change">
              <h3>Change</h3>
              <Diff before={event.change.before} after={event.change.after} />
            </section>
          )}
          {["authorization", "approval", "input", "output", "metadata"].map((name) =>
            event[name] !== undefined && (
              <section key={name} aria-label={name}>
                <h3>{name}</h3>
                <Value value={event[name]} />
              </section>
            )
          )}
          <details>
            <summary>Raw JSON</summary>
            <Value value={event} />
          </details>
        </>
      )}
      <ProofCheck key={item.eventId} eventId={item.eventId} event={event} />
    </aside>
  )
}
