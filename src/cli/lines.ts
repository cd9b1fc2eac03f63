/**
 * Splits bytes into lines in bounded memory, whatever comes.
 *
 * A line ends at LF only. A line over 1 MiB, or one that is not UTF-8, is reported as such; its bytes are not kept.
 */

/** One line, counted from 1; `text` is absent when it is too long or not UTF-8. */
export interface Line {
  readonly number: number
  readonly text: string | undefined
}

/** Longest line in bytes, without its LF. */
export const maxLineBytes = 1_048_576

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const decode = (bytes: Uint8Array): string | undefined => {
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}

/** Keeps the beginning of a line between two chunks. */
export class LineSplitter {
  private number = 0
  private parts: Array<Uint8Array> = []
  private length = 0

  /** The lines that end in this chunk; blank ones are counted and left out. */
  push(chunk: Uint8Array): ReadonlyArray<Line> {
    const lines: Array<Line> = []
    let from = 0
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
      this.add(chunk.subarray(from, end))
      this.finish(lines)
      from = end + 1
    }
    this.add(chunk.subarray(from))
    return lines
  }

  /** The last line, if it did not end with LF. */
  end(): ReadonlyArray<Line> {
    const lines: Array<Line> = []
    if (this.length > 0) this.finish(lines)
    return lines
  }

  private add(part: Uint8Array): void {
    this.length += part.length
    if (this.length > maxLineBytes) this.parts = []
    // A copy: the chunk's memory belongs to whoever read it.
    else if (part.length > 0) this.parts.push(part.slice())
  }

  private finish(lines: Array<Line>): void {
    this.number++
    const text = this.length > maxLineBytes
      ? undefined
      : decode(this.parts.length === 1 ? this.parts[0]! : Buffer.concat(this.parts))
    this.parts = []
    this.length = 0
    if (text === undefined || text.trim() !== "") lines.push({ number: this.number, text })
  }
}
