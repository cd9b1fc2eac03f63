/** One run of an agent: who ran, for whom, and what was done, over the events that are loaded. */
import { columns } from "./Grid.tsx"
import { type Runs, whose } from "./runs.ts"

interface Props extends Pick<Runs, "counts" | "items"> {
  readonly run: string | undefined
  /** Whether no result can be missing. */
  readonly isWhole: boolean
}

/** The head of the run that is searched for. */
export const RunHead = ({ counts, isWhole, items, run }: Props) => {
  const event = run === undefined ? undefined : whose(items)
  if (event === undefined) return null
  const { agent = {} } = event
  const facts = Object.entries({ version: agent.version, model: agent.model, ...counts })
  return (
    <section class="run" aria-label="Run">
      <h2>Run {run}</h2>
      <span>{columns["who"]?.of(event, undefined)}</span>
      {facts.map(([label, fact]) =>
        fact !== undefined && (isWhole || label !== "unfinished") && (
          <span key={label} class={fact === 0 ? "" : label}>{label} {fact.toLocaleString()}</span>
        )
      )}
    </section>
  )
}
