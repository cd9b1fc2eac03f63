/**
 * Characters that look like others or like nothing: full-width forms, invisible characters, unusual spaces and dashes.
 */

// Soft hyphen, no-break and typographic spaces, zero-width characters, typographic dashes, full-width forms.
export const disguised = /[\u00ad\u00a0\u2000-\u2015\u202f\u205f-\u2064\u2212\u3000\ufe63\ufeff\uff01-\uff5e]/

const plainOf = (code: number): string | undefined => {
  if (code >= 0xff01 && code <= 0xff5e) return String.fromCharCode(code - 0xfee0)
  if (code === 0xad || (code >= 0x200b && code <= 0x200f) || (code >= 0x2060 && code <= 0x2064) || code === 0xfeff) {
    return ""
  }
  if (code === 0xa0 || (code >= 0x2000 && code <= 0x200a) || code === 0x202f || code === 0x205f || code === 0x3000) {
    return " "
  }
  if ((code >= 0x2010 && code <= 0x2015) || code === 0x2212 || code === 0xfe63) return "-"
  return undefined
}

/** The text as it looks, and for each of its characters where it stands in the original. */
export const unmask = (text: string): { readonly text: string; readonly offsets: ArrayLike<number> } => {
  let plain = ""
  const offsets = new Uint32Array(text.length)
  let length = 0
  for (let i = 0; i < text.length; i++) {
    const char = plainOf(text.charCodeAt(i)) ?? text[i]!
    if (char === "") continue
    plain += char
    offsets[length++] = i
  }
  return { text: plain, offsets: offsets.subarray(0, length) }
}
