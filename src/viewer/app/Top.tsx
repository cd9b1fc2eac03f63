/** The bar on top: the search, following, exports, columns, views. */
import { useRef, useState } from "preact/hooks"
import { fetchText } from "./api.ts"
import { columns } from "./Grid.tsx"
import { completions, parse } from "./search.ts"
import { useStored } from "./stored.ts"
import { seen, type Tally } from "./tally.ts"

const download = async (asked: Record<string, string>, format: "ndjson" | "csv", say: (text: string) => void) => {
  say("Exporting …")
  try {
    const response = await fetchText("/events", { ...asked, format })
    const link = document.createElement("a")
    link.href = URL.createObjectURL(await response.blob())
    link.download = `audit.${format}`
    link.click()
    URL.revokeObjectURL(link.href)
    say("Exported to the last row")
  } catch (error) {
    say(error instanceof Error ? error.message : "The export failed")
  }
}

interface SearchProps {
  readonly text: string
  readonly tally: Tally
  readonly onSearch: (text: string) => void
  readonly onWrong: (problem: string | undefined) => void
}

/** The search box; what is typed counts when it is sent. */
const Search = ({ onSearch, onWrong, tally, text }: SearchProps) => {
  const [typed, setTyped] = useState<string>()
  const sent = useRef(text)
  // Another search was chosen elsewhere: what was typed is over.
  if (sent.current !== text && typed !== undefined) setTyped(undefined)
  sent.current = text
  const shown = typed ?? text
  const wrong = parse(shown).find((term) => "wrong" in term)
  return (
    <form
      role="search"
      onSubmit={(event) => {
        event.preventDefault()
        if (wrong !== undefined) return
        setTyped(undefined)
        onSearch(shown)
      }}
    >
      <input
        type="search"
        aria-label="Search"
        aria-describedby="problem"
        placeholder="actor:u1 action:note.* outcome:denied since:2h"
        list="hints"
        value={shown}
        spellcheck={false}
        onInput={({ currentTarget: { value } }) => {
          setTyped(value)
          const problem = parse(value).find((term) => "wrong" in term)
          onWrong(problem !== undefined && "wrong" in problem ? `${problem.wrong}: ${problem.why}` : undefined)
        }}
      />
      <datalist id="hints">
        {completions(shown, (field) => seen(tally, field)).map((hint) => <option key={hint} value={hint} />)}
      </datalist>
      <button type="submit" disabled={wrong !== undefined}>Search</button>
    </form>
  )
}

interface ColumnsProps {
  readonly shown: ReadonlyArray<string>
  readonly onShown: (shown: ReadonlyArray<string>) => void
}

const Columns = ({ onShown, shown }: ColumnsProps) => (
  <details class="menu">
    <summary>Columns</summary>
    {Object.entries(columns).map(([name, { label }]) => (
      <label key={name}>
        <input
          type="checkbox"
          checked={shown.includes(name)}
          onChange={() => onShown(Object.keys(columns).filter((other) => (other === name) !== shown.includes(other)))}
        />
        {label}
      </label>
    ))}
  </details>
)

/** Searches under names, kept in this browser. */
const Views = ({ onPick, text }: { readonly text: string; readonly onPick: (text: string) => void }) => {
  const [views, setViews] = useStored<{ readonly [name: string]: string }>("audit-views", {})
  const [name, setName] = useState("")
  return (
    <details class="menu">
      <summary>Views</summary>
      <ul>
        {Object.entries(views).map(([name, text]) => (
          <li key={name}>
            <button type="button" onClick={() => onPick(text)}>{name}</button>
          </li>
        ))}
      </ul>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (name !== "") setViews({ ...views, [name]: text })
          setName("")
        }}
      >
        <label>
          Name of this view ({text === "" ? "everything" : text})
          <input value={name} onInput={({ currentTarget }) => setName(currentTarget.value)} />
        </label>
        <button type="submit">Save</button>
      </form>
    </details>
  )
}

interface Props extends SearchProps, ColumnsProps {
  readonly asked: Record<string, string>
  readonly isLive: boolean
  readonly onLive: () => void
  readonly onHelp: () => void
  readonly onSay: (text: string) => void
}

export const Top = ({ asked, isLive, onHelp, onLive, onSay, ...props }: Props) => (
  <header class="top">
    <h1>Audit trail</h1>
    <Search {...props} />
    <button type="button" aria-pressed={isLive} onClick={onLive}>Live</button>
    <button type="button" onClick={() => void download(asked, "ndjson", onSay)}>Export NDJSON</button>
    <button type="button" onClick={() => void download(asked, "csv", onSay)}>Export CSV</button>
    <Columns {...props} />
    <Views text={props.text} onPick={props.onSearch} />
    <button type="button" aria-label="Help" onClick={onHelp}>?</button>
  </header>
)
