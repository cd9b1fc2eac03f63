/** The audit API as the page uses it. */
import type { Item } from "./event.ts"

export interface Page {
  readonly items: ReadonlyArray<Item>
  readonly next?: string
}

const base = document.querySelector("meta[name=audit-api]")?.getAttribute("content") ?? "/audit"

/** A token that came in the fragment of the address, which no server sees; kept for this tab. */
const token = (): string | undefined => {
  const given = /^#token=([\w-]+)$/.exec(location.hash)?.[1]
  if (given !== undefined) {
    sessionStorage.setItem("audit-token", given)
    history.replaceState(null, "", location.pathname + location.search)
  }
  return sessionStorage.getItem("audit-token") ?? undefined
}
const known = token()
const headers: HeadersInit = known === undefined ? {} : { authorization: `Bearer ${known}` }

/** What went wrong, in the words of the server. */
const problemOf = async (response: Response): Promise<Error> => {
  const text = await response.text()
  try {
    const { detail } = JSON.parse(text) as { readonly detail?: string }
    if (detail !== undefined) return new Error(detail)
  } catch {
    // No problem document: the status has to do.
  }
  return new Error(response.status === 401 ? "You are not signed in" : `The server answered with ${response.status}`)
}

export const fetchText = async (path: string, parameters: Record<string, string> = {}, signal?: AbortSignal) => {
  const query = new URLSearchParams(parameters).toString()
  const response = await fetch(`${base}${path}?${query}`, { headers, signal: signal ?? null })
  if (!response.ok) throw await problemOf(response)
  return response
}

export const page = async (parameters: Record<string, string>, signal: AbortSignal): Promise<Page> =>
  await (await fetchText("/events", { limit: "250", ...parameters }, signal)).json() as Page

export const proofOf = async (eventId: string): Promise<string> =>
  await (await fetchText(`/events/${eventId}/proof`)).text()

/** Follows the log; calls with what came, and when the stream had to be taken up again. */
export const follow = async (
  parameters: Record<string, string>,
  from: number,
  on: { readonly items: (items: ReadonlyArray<Item>) => void; readonly state: (text: string) => void },
  signal: AbortSignal
): Promise<void> => {
  let last = from
  while (!signal.aborted) {
    try {
      const { body } = await fetchText("/events/tail", { ...parameters, after: String(last) }, signal)
      if (body === null) throw new Error("broken")
      on.state("live")
      const reader = body.pipeThrough(new TextDecoderStream()).getReader()
      let rest = ""
      for (let read = await reader.read(); !read.done; read = await reader.read()) {
        const frames = (rest + read.value).split("\n\n")
        rest = frames.pop() ?? ""
        const items = frames.flatMap((frame) => {
          const data = /^event: audit\n/m.test(frame) ? /^data: (.*)$/m.exec(frame)?.[1] : undefined
          return data === undefined ? [] : [JSON.parse(data) as Item]
        })
        last = items.at(-1)?.position ?? last
        if (items.length > 0) on.items(items)
      }
      on.state("reconnecting")
    } catch (error) {
      if (signal.aborted) return
      on.state(error instanceof Error ? error.message : "broken")
    }
    await new Promise((resolve) => setTimeout(resolve, 1000))
  }
}
