/**
 * Strips Effect's own log output: messages, annotations, spans and causes.
 *
 *     Logger.layer([Logger.withConsoleLog(PiiLogger.strip(Logger.formatJson))])
 *
 * @since 0.1.0
 */
import * as Logger from "effect/Logger"
import { type Options, strip as stripValue } from "./Pii.ts"

/**
 * A logger that writes what another writes, without personal data and secrets. The finished line is stripped, so that
 * nothing a line is made of is forgotten; a line of JSON is stripped by its keys as well.
 */
export const strip = <Message>(
  logger: Logger.Logger<Message, string>,
  options: Options = {}
): Logger.Logger<Message, string> =>
  Logger.map(logger, (line) => {
    const { value } = stripValue(line, options)
    return typeof value === "string" ? value : ""
  })
