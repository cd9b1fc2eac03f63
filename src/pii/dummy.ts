/** Tokens that someone made up for a document: no machine makes such ones. */

const isAlnum = (code: number): boolean =>
  (code >= 48 && code < 58) || (code >= 65 && code < 91) || (code >= 97 && code < 123)

/** A mask makes up half of it, or nought nearly all: `glpat-xxxxxxxxxxxxxxxxxxxx`, `api_live.00000000000000000000`. */
const isMasked = (token: string): boolean => {
  let alnum = 0
  let noughts = 0
  let masks = 0
  for (let i = 0; i < token.length; i++) {
    const code = token.charCodeAt(i)
    if (!isAlnum(code)) continue
    alnum++
    if (code === 48) noughts++
    else if (code === 120 || code === 88) masks++
  }
  return alnum >= 10 && (masks * 2 >= alnum || noughts * 10 >= alnum * 9) && /[xX]{5}|0{8}/.test(token)
}

/**
 * Whether a token, which is otherwise made by chance, is a mask. The example keys of vendors count as keys: whoever
 * tries whether keys are found takes them.
 */
export const isDummy = (token: string): boolean => token.length >= 10 && token.length <= 256 && isMasked(token)
