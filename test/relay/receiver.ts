/** A server that takes webhooks and fails as it is told. */
import { Effect } from "effect"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"

/** What was received of one message. */
export interface Received {
  readonly headers: IncomingMessage["headers"]
  readonly path: string
  readonly body: string
}

/** How a message is answered: a status, with headers; or not at all. */
export type Reply =
  | number
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string }
  | "hang"
  | "cut"

/** A receiver, for as long as the scope. */
export const receiver = (answer: (message: Received, count: number) => Reply) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<
        { readonly url: string; readonly messages: Array<Received>; readonly close: () => Promise<void> }
      >(
        (resume) => {
          const messages: Array<Received> = []
          const respond = (message: Received, response: ServerResponse) => {
            messages.push(message)
            const reply = answer(message, messages.length)
            if (reply === "hang") return
            if (reply === "cut") {
              response.destroy()
              return
            }
            const { body = "", headers = {}, status } = typeof reply === "number" ? { status: reply } : reply
            response.writeHead(status, headers).end(body)
          }
          const server = createServer((request, response) => {
            const chunks: Array<Buffer> = []
            request.on("data", (chunk: Buffer) => chunks.push(chunk))
            request.on("end", () =>
              respond({
                headers: request.headers,
                path: request.url ?? "",
                body: Buffer.concat(chunks).toString()
              }, response))
          })
          server.listen(0, "127.0.0.1", () => {
            const address = server.address()
            const port = typeof address === "object" && address !== null ? address.port : 0
            resume(Effect.succeed({
              url: `http://127.0.0.1:${port}/hook`,
              messages,
              close: () => {
                server.closeAllConnections()
                return new Promise((done) => server.close(() => done()))
              }
            }))
          })
        }
      ),
      ({ close }) => Effect.promise(close)
    ),
    ({ messages, url }) => ({ url, messages })
  )

/** The events of a message in JSON. */
export const eventsOf = ({ body }: Received) =>
  JSON.parse(body) as ReadonlyArray<
    {
      readonly position: number
      readonly event_id: string
      readonly tenantId: string
      readonly input?: { readonly n: number }
    }
  >
