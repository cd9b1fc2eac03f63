/** State that this browser keeps. */
import { useState } from "preact/hooks"

function read<A>(key: string, otherwise: A): A {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "") as A
  } catch {
    return otherwise
  }
}

export function useStored<A>(key: string, otherwise: A): readonly [A, (value: A) => void] {
  const [value, setValue] = useState(() => read(key, otherwise))
  const set = (next: A) => {
    setValue(next)
    localStorage.setItem(key, JSON.stringify(next))
  }
  return [value, set]
}
