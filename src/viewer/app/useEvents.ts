/** The events that a search finds: loaded page by page, and followed. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks"
import { follow, page } from "./api.ts"
import type { Item } from "./event.ts"
import { isWhole, noRuns, runs } from "./runs.ts"
import { parameters, parse } from "./search.ts"
import { nothing as none, tally } from "./tally.ts"

/** What was found, and what was asked for to find it. */
interface Found {
  readonly asked: Record<string, string> | undefined
  readonly items: ReadonlyArray<Item>
  readonly next: string | undefined
}
const nothing: Found = { asked: undefined, items: [], next: undefined }

/** What is counted of a list, step by step as it grows. */
function useCount<A>(nothing: A, count: (before: A, items: ReadonlyArray<Item>) => A, items: ReadonlyArray<Item>): A {
  const last = useRef(nothing)
  return useMemo(() => last.current = count(last.current, items), [items])
}

/** What is counted of what was found, and of what waits to be shown: a result ends its operation at once. */
const useCounts = ({ asked = {}, items }: Found, pending: ReadonlyArray<Item>) => {
  const known = useMemo(() => [...pending, ...items], [pending, items])
  return {
    tally: useCount(none, tally, items),
    // Of the search whose events are shown: another one may be loading.
    agents: { ...useCount(noRuns, runs, known), run: asked["runId"], isWhole: isWhole(asked) }
  }
}

/** The events of a search: the newest first, more as one scrolls, and what is committed meanwhile. */
export const useEvents = (text: string, isLive: boolean, isAway: boolean) => {
  const [found, setFound] = useState<Found>(nothing)
  const [pending, setPending] = useState<ReadonlyArray<Item>>([])
  const [error, setError] = useState("")
  const [stream, setStream] = useState("")
  const loading = useRef(false)
  const away = useRef(isAway)
  away.current = isAway
  // Times like `2h` are relative to when one asked: the pages of one search must not move.
  const asked = useMemo(() => parameters(parse(text), Date.now()), [text])
  const isLoaded = found.asked === asked
  /** Changes what was found, unless something else is asked for by now. */
  const change = (of: Record<string, string>, to: (before: Found) => Found) =>
    setFound((before) => before.asked === of ? to(before) : before)

  useEffect(() => {
    const gone = new AbortController()
    setPending([])
    setError("")
    page(asked, gone.signal).then(
      ({ items, next }) => setFound({ asked, items, next }),
      (problem: Error) => {
        if (gone.signal.aborted) return
        setError(problem.message)
        setFound({ asked, items: [], next: undefined })
      }
    )
    return () => gone.abort()
  }, [asked])

  useEffect(() => {
    if (!isLive || !isLoaded) return
    const gone = new AbortController()
    void follow(asked, (pending[0] ?? found.items[0])?.position ?? -1, {
      state: setStream,
      items: (came) => {
        const newest = came.toReversed()
        if (away.current) setPending((before) => [...newest, ...before])
        else change(asked, (before) => ({ ...before, items: [...newest, ...before.items] }))
      }
    }, gone.signal)
    return () => {
      gone.abort()
      setStream("")
    }
  }, [isLive, asked, isLoaded])

  const more = () => {
    if (!isLoaded || found.next === undefined || loading.current) return
    loading.current = true
    page({ ...asked, cursor: found.next }, new AbortController().signal).then(
      ({ items, next }) => change(asked, (before) => ({ asked, items: [...before.items, ...items], next })),
      (problem: Error) => setError(problem.message)
    ).finally(() => {
      loading.current = false
    })
  }
  const show = () => {
    change(asked, (before) => ({ ...before, items: [...pending, ...before.items] }))
    setPending([])
  }
  const { items, next } = found
  const counts = useCounts(found, pending)
  const status = isLoaded ? "loaded" : "loading"
  return { items, ...counts, next, pending, status, error, stream, asked, more, show }
}
