/** Text of others as it is shown. Pure. */

// Control characters but tab and line feed, and what is not seen (joiners are part of scripts and stay) or turns the direction of text (Unicode UAX #9).
const unseen = /[^\P{Cc}\t\n]|[\p{Bidi_Control}\u00ad\u180e\u200b\u2028\u2029\u2060-\u206f\ufeff\u{e0000}-\u{e007f}]/gu

/** A text in which nothing acts, or hides what is beside it: characters that are not seen are written as `\u202e`. */
export const visible = (text: string): string =>
  text.replace(unseen, (character) => {
    const hex = (character.codePointAt(0) ?? 0).toString(16)
    return hex.length > 4 ? `\\u{${hex}}` : `\\u${hex.padStart(4, "0")}`
  })
