/** The page: search, overview, rows, one event, live. What is seen is in the address. */
import { render } from "preact"
import { useLayoutEffect, useRef, useState } from "preact/hooks"
import { Drawer } from "./Drawer.tsx"
import { Grid } from "./Grid.tsx"
import { Facets, Histogram } from "./Overview.tsx"
import { RunHead } from "./Run.tsx"
import { withTerm } from "./search.ts"
import { useStored } from "./stored.ts"
import { Top } from "./Top.tsx"
import { useEvents } from "./useEvents.ts"

interface Address {
  readonly text: string
  readonly open: string | null
  readonly live: boolean
}

const read = (): Address => {
  const given = new URLSearchParams(location.search)
  return { text: given.get("q") ?? "", open: given.get("open"), live: given.get("live") === "1" }
}

/** What is seen, as the address says it: going back brings back what was seen. */
const useAddress = () => {
  const [address, setAddress] = useState(read)
  const { live, open, text } = address
  useLayoutEffect(() => {
    const said = new URLSearchParams()
    if (text !== "") said.set("q", text)
    if (open !== null) said.set("open", open)
    if (live) said.set("live", "1")
    const query = said.toString() === "" ? "" : `?${said.toString()}`
    if (query !== location.search) history.pushState(null, "", location.pathname + query)
  }, [text, open, live])
  useLayoutEffect(() => {
    const back = () => setAddress(read())
    addEventListener("popstate", back)
    return () => removeEventListener("popstate", back)
  }, [])
  return [address, (change: Partial<Address>) => setAddress((before) => ({ ...before, ...change }))] as const
}

/** Into the grid, to the row that has its turn. */
const enterGrid = (): boolean => {
  const grid = document.querySelector("[role=grid]")
  if (grid === null || grid.contains(document.activeElement)) return false
  grid.querySelector<HTMLElement>("[role=row][tabindex='0']")?.focus()
  return true
}

/** Keys of the whole page. A key finds what is on the page by then, also right after another one. */
const useKeys = (on: { readonly close: () => void; readonly help: () => void; readonly enter: () => void }) => {
  const latest = useRef(on)
  latest.current = on
  useLayoutEffect(() => {
    const key = (event: KeyboardEvent) => {
      const on = latest.current
      if (event.key === "Escape") on.close()
      if (event.target instanceof HTMLInputElement || event.ctrlKey || event.metaKey) return
      if (event.key === "/") {
        event.preventDefault()
        document.querySelector<HTMLElement>("[type=search]")?.focus()
      } else if (event.key === "?") on.help()
      else if ((event.key === "j" || event.key === "k") && enterGrid()) on.enter()
    }
    addEventListener("keydown", key)
    return () => removeEventListener("keydown", key)
  }, [])
}

const keys: ReadonlyArray<readonly [string, string]> = [
  ["j, ↓ / k, ↑", "next, previous event"],
  ["Home, End", "the first, the last event that is loaded"],
  ["Page Up, Page Down", "twenty events at once"],
  ["Enter", "open the event"],
  ["Esc", "close it, or this help"],
  ["/", "search"],
  ["?", "this help"]
]

const Help = () => (
  <aside class="help" aria-label="Keys">
    <dl>
      {keys.map(([key, what]) => (
        <div key={key}>
          <dt>{key}</dt>
          <dd>{what}</dd>
        </div>
      ))}
    </dl>
  </aside>
)

interface StatusProps extends ReturnType<typeof useEvents> {
  readonly text: string
  readonly said: string
  readonly isLive: boolean
  readonly isAway: boolean
  readonly onShow: () => void
}

/** How much is loaded, and whether what comes is seen. */
const Status = ({ isAway, isLive, items, next, onShow, pending, said, status, stream, text }: StatusProps) => {
  const count = items.length === 0
    ? "No event is found"
    : `${items.length} loaded${next === undefined ? "" : ", more as you scroll"}`
  const live = !isLive
    ? ""
    : isAway
    ? "Live is paused while you read"
    : stream === "live"
    ? "Live"
    : `Live: ${stream === "" ? "connecting" : stream}`
  return (
    <p class="counts" role="status" data-loaded={status === "loaded" ? text : undefined}>
      <span>{status === "loading" ? "Loading …" : count}</span>
      <span class="live">{live}</span>
      <span>{said}</span>
      {pending.length > 0 && <button type="button" onClick={onShow}>{pending.length} new</button>}
    </p>
  )
}

/** Back to what is new. */
const toTop = (show: () => void, close: () => void) => {
  show()
  close()
  document.querySelector("[role=grid]")?.scrollTo({ top: 0 })
}

const usual: ReadonlyArray<string> = ["time", "who", "action", "resource", "outcome", "found", "train"]

/** The columns that are shown, and how wide: kept in this browser. */
const useColumns = () => {
  const [shown, setShown] = useStored("audit-columns", usual)
  const [widths, setWidths] = useStored<{ readonly [name: string]: number }>("audit-widths", {})
  return { shown, setShown, widths, setWidths }
}

const App = () => {
  const [{ live, open: opened, text }, go] = useAddress()
  const [wrong, setWrong] = useState<string>()
  const [selected, setSelected] = useState(-1)
  const [isScrolled, setScrolled] = useState(false)
  const { setShown, setWidths, shown, widths } = useColumns()
  const [isHelp, setHelp] = useState(false)
  const [said, say] = useState("")
  const isAway = isScrolled || opened !== null
  const events = useEvents(text, live, isAway)
  const { agents, items, tally } = events
  const open = items.find(({ eventId }) => eventId === opened)
  const close = () => go({ open: null })
  const search = (next: string) => {
    setWrong(undefined)
    setSelected(-1)
    go({ text: next, open: null })
  }
  const openAt = (index: number) => go({ open: items[index]?.eventId ?? null })
  // A run is shown whole.
  const term = (field: string, value: string) => search(withTerm(field === "run" ? "" : text, field, value))
  const help = () => setHelp(!isHelp)
  useKeys({ close: isHelp ? help : close, help, enter: () => setSelected(Math.max(0, selected)) })
  const top = { text, tally, shown, asked: events.asked, isLive: live }
  const status = { text, said, isLive: live, isAway }
  const grid = { items, agents, shown, widths, selected, hasMore: events.next !== undefined }
  return (
    <>
      <Top
        {...top}
        onSearch={search}
        onWrong={setWrong}
        onShown={setShown}
        onLive={() => go({ live: !live })}
        onHelp={help}
        onSay={say}
      />
      <p id="problem" class="problem" role="alert">{wrong ?? events.error}</p>
      <main>
        <Facets tally={tally} onTerm={term} />
        <section class="events" aria-label="Events">
          <RunHead {...agents} />
          <Histogram
            tally={tally}
            onBrush={(since, until) => search(withTerm(withTerm(text, "since", since), "until", until))}
          />
          <Status {...events} {...status} onShow={() => toTop(events.show, close)} />
          <Grid
            {...grid}
            onSelect={(index) => {
              setSelected(index)
              if (opened !== null) openAt(index)
            }}
            onOpen={openAt}
            onMore={events.more}
            onScrolled={setScrolled}
            onWidth={(name, width) => setWidths({ ...widths, [name]: width })}
          />
        </section>
        {open !== undefined && <Drawer item={open} onClose={close} onTerm={term} />}
      </main>
      {isHelp && <Help />}
    </>
  )
}

const root = document.querySelector("#app")
if (root !== null) render(<App />, root)
