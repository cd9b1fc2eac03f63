/** The rows of the log: a window of them at a time, all of the same height. */
import type { ComponentChildren } from "preact"
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks"
import type { Event, Item } from "./event.ts"
import { halfOf, type Runs } from "./runs.ts"
import { visible } from "./visible.ts"

const rowHeight = 32
const beyond = 12

const who = ({ actor_type, agentId, user_id }: Event): string =>
  user_id !== undefined && user_id !== agentId ? `${agentId} for ${user_id}` : agentId === actor_type ? "" : agentId

/** What can be shown in a column. */
export const columns: {
  readonly [name: string]: {
    readonly label: string
    readonly width: number
    readonly of: (event: Event, half: string | undefined) => ComponentChildren
  }
} = {
  time: {
    label: "Time",
    width: 215,
    of: ({ recorded_at }) => <time dateTime={recorded_at}>{recorded_at.replace("T", " ").replace("Z", "")}</time>
  },
  who: {
    label: "Who",
    width: 220,
    of: (event) => (
      <>
        <span class={`badge ${event.actor_type}`}>{event.actor_type}</span> {who(event)}
      </>
    )
  },
  action: {
    label: "Action",
    width: 220,
    // Both halves of an operation show the end of its id.
    of: ({ action, operation_id }, half) => {
      const short = operation_id?.slice(-4)
      return half === undefined ? action : (
        <span class="halved">
          <span>{action}</span>{" "}
          <span class={`half ${half}`} role="img" aria-label={`${half} of operation ${short}`}>{half} {short}</span>
        </span>
      )
    }
  },
  resource: {
    label: "Resource",
    width: 220,
    of: ({ resource }) => resource && visible(`${resource.type} ${resource.id}`)
  },
  outcome: {
    label: "Outcome",
    width: 170,
    // The outcome of an intent says nothing.
    of: ({ error_tag, outcome, phase }) =>
      phase === "intent" ? <span class="dim">(intent)</span> : (
        <span class={`outcome ${outcome}`}>
          {error_tag === undefined ? outcome : visible(`${outcome}: ${error_tag}`)}
        </span>
      )
  },
  found: { label: "Found", width: 140, of: ({ pii_flags }) => pii_flags.flags.join(" ") },
  train: {
    label: "Training",
    width: 140,
    of: ({ train_ok, train_reason }) => train_ok ? "yes" : `no: ${train_reason}`
  },
  severity: { label: "Severity", width: 90, of: ({ severity }) => severity },
  request: { label: "Request", width: 180, of: ({ request_id }) => request_id },
  trace: { label: "Trace", width: 180, of: ({ trace_id }) => trace_id },
  run: { label: "Run", width: 140, of: ({ run_id }) => run_id },
  step: { label: "Step", width: 120, of: ({ step_id }) => step_id && <span class="step">{step_id}</span> }
}

interface Props {
  readonly items: ReadonlyArray<Item>
  readonly shown: ReadonlyArray<string>
  readonly widths: { readonly [name: string]: number }
  readonly selected: number
  readonly agents: Pick<Runs, "operations"> & { readonly run: string | undefined; readonly isWhole: boolean }
  readonly hasMore: boolean
  readonly onSelect: (index: number) => void
  readonly onOpen: (index: number) => void
  readonly onMore: () => void
  readonly onScrolled: (isAway: boolean) => void
  readonly onWidth: (name: string, width: number) => void
}

/** Which rows are in sight. More are loaded before the last is reached; the selected one stays in sight. */
const useWindow = ({ hasMore, items, onMore, selected }: Pick<Props, "hasMore" | "items" | "onMore" | "selected">) => {
  const box = useRef<HTMLDivElement>(null)
  const [top, setTop] = useState(0)
  const [height, setHeight] = useState(600)
  const first = Math.max(0, Math.floor(top / rowHeight) - beyond)
  const last = Math.min(items.length, Math.ceil((top + height) / rowHeight) + beyond)

  useEffect(() => {
    const element = box.current
    if (element === null) return
    const observer = new ResizeObserver(() => setHeight(element.clientHeight))
    observer.observe(element)
    return () => observer.disconnect()
  }, [])

  useEffect(() => {
    if (hasMore && last > items.length - 100) onMore()
  }, [last, items.length, hasMore])

  // The selected row stays in sight, and has the focus where the grid has it, before the next key comes.
  useLayoutEffect(() => {
    const element = box.current
    if (element === null || selected < 0) return
    const at = selected * rowHeight
    if (at < element.scrollTop) element.scrollTop = at
    else if (at + 2 * rowHeight > element.scrollTop + element.clientHeight) {
      element.scrollTop = at + 2 * rowHeight - element.clientHeight
    }
    if (element.contains(document.activeElement)) {
      element.querySelector<HTMLElement>(`[data-index="${selected}"]`)?.focus({ preventScroll: true })
    }
  }, [selected, first, last])
  return { box, first, last, setTop }
}

const stepOf = (item: Item | undefined): string | undefined =>
  item === undefined || item.erased ? undefined : item.event.step_id

const narrow = matchMedia("(max-width: 800px)")
const useNarrow = (): boolean => {
  const [isNarrow, setNarrow] = useState(narrow.matches)
  useLayoutEffect(() => {
    const changed = () => setNarrow(narrow.matches)
    narrow.addEventListener("change", changed)
    return () => narrow.removeEventListener("change", changed)
  }, [])
  return isNarrow
}

/** The columns: of a run the steps come first; on a narrow screen what was done, and how it ended, without scrolling. */
const columnsOf = (
  { agents: { run }, shown }: Pick<Props, "agents" | "shown">,
  isNarrow: boolean
): ReadonlyArray<string> => {
  const first = [...(run === undefined ? [] : ["step"]), ...(isNarrow ? ["action", "outcome"] : [])]
    .filter((name) => name === "step" || shown.includes(name))
  return [...first, ...shown.filter((name) => !first.includes(name))]
}
/** The most that a column takes on a narrow screen unless someone made it wider. */
const narrowWidth = 150

export const Grid = (
  { agents, hasMore, items, onMore, onOpen, onScrolled, onSelect, onWidth, selected, widths, ...chosen }: Props
) => {
  const isNarrow = useNarrow()
  const shown = columnsOf({ agents, ...chosen }, isNarrow)
  const { box, first, last, setTop } = useWindow({ hasMore, items, onMore, selected })
  const usualWidth = (name: string) => columns[name]?.width ?? 120
  const widthOf = (name: string) =>
    widths[name] ?? (isNarrow ? Math.min(narrowWidth, usualWidth(name)) : usualWidth(name))
  const template = `${isNarrow ? 64 : 92}px ${shown.map((name) => `${widthOf(name)}px`).join(" ")}`

  const onKey = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: 20, PageUp: -20 }[event.key]
    const to = event.key === "Home" ? 0 : event.key === "End" ? items.length - 1 : selected + (step ?? 0)
    if (step !== undefined || event.key === "Home" || event.key === "End") {
      event.preventDefault()
      onSelect(Math.min(items.length - 1, Math.max(0, to)))
    } else if (event.key === "Enter") onOpen(Math.max(0, selected))
  }

  return (
    <div
      class="grid"
      role="grid"
      aria-label="Events, newest first"
      aria-rowcount={hasMore ? -1 : items.length + 1}
      aria-colcount={shown.length + 1}
      ref={box}
      onKeyDown={onKey}
      onScroll={({ currentTarget }) => {
        setTop(currentTarget.scrollTop)
        onScrolled(currentTarget.scrollTop > 16)
      }}
    >
      <div class="row head" role="row" aria-rowindex={1} style={{ gridTemplateColumns: template }}>
        <span role="columnheader">Position</span>
        {shown.map((name) => (
          <span role="columnheader" key={name}>
            {columns[name]?.label}
            <Handle
              label={columns[name]?.label ?? name}
              width={widthOf(name)}
              onWidth={(width) => onWidth(name, width)}
            />
          </span>
        ))}
      </div>
      <div class="rows" role="rowgroup" style={{ height: `${items.length * rowHeight}px` }}>
        {items.slice(first, last).map((item, i) => (
          <Row
            key={item.position}
            item={item}
            half={item.erased ? undefined : halfOf(agents, item.event)}
            isSameStep={agents.run !== undefined && stepOf(item) === stepOf(items[first + i - 1])}
            index={first + i}
            isSelected={first + i === selected}
            isEntry={first + i === Math.max(0, selected)}
            shown={shown}
            template={template}
            onOpen={() => {
              onSelect(first + i)
              onOpen(first + i)
            }}
          />
        ))}
      </div>
    </div>
  )
}

interface RowProps {
  readonly item: Item
  readonly half: string | undefined
  /** Whether the row above is of the same step, in a run. */
  readonly isSameStep: boolean
  readonly index: number
  readonly isSelected: boolean
  /** Whether the tab key enters the grid here. */
  readonly isEntry: boolean
  readonly shown: ReadonlyArray<string>
  readonly template: string
  readonly onOpen: () => void
}

const Row = ({ half, index, isEntry, isSameStep, isSelected, item, onOpen, shown, template }: RowProps) => (
  <div
    data-index={index}
    class={`row${isSelected ? " selected" : ""}${isSameStep ? " same" : ""}`}
    role="row"
    aria-rowindex={index + 2}
    aria-selected={isSelected}
    tabIndex={isEntry ? 0 : -1}
    style={{ top: `${index * rowHeight}px`, gridTemplateColumns: template }}
    onClick={onOpen}
  >
    <span role="gridcell">{item.position}</span>
    {shown.map((name) => (
      <span role="gridcell" key={name}>
        {item.erased ? name === "action" ? <em>erased</em> : "" : columns[name]?.of(item.event, half)}
      </span>
    ))}
  </div>
)

/** The right edge of a column: dragged, or moved by the arrow keys. */
const Handle = (
  { label, onWidth, width }: {
    readonly label: string
    readonly width: number
    readonly onWidth: (width: number) => void
  }
) => {
  const set = (next: number) => onWidth(Math.min(800, Math.max(48, next)))
  return (
    <span
      class="handle"
      role="separator"
      aria-orientation="vertical"
      aria-label={`Width of ${label}`}
      aria-valuenow={width}
      aria-valuemin={48}
      aria-valuemax={800}
      tabIndex={0}
      onKeyDown={(event) => {
        if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return
        event.preventDefault()
        event.stopPropagation()
        set(width + (event.key === "ArrowRight" ? 16 : -16))
      }}
      onPointerDown={(event) => {
        const { currentTarget } = event
        const from = event.clientX
        currentTarget.setPointerCapture(event.pointerId)
        const move = (moved: PointerEvent) => set(width + moved.clientX - from)
        currentTarget.addEventListener("pointermove", move)
        currentTarget.addEventListener("pointerup", () => currentTarget.removeEventListener("pointermove", move), {
          once: true
        })
      }}
    />
  )
}
