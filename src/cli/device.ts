import { defaultDevice } from '../runtime/node.ts'
import { note } from './output.ts'

let usual: Promise<string> | undefined

async function usualDevice(): Promise<string> {
  const { device, notice } = await defaultDevice()
  if (notice) note(`NOTE  ${notice}`)
  return device
}

/** The device that a flag names; without one the default device, and where that is not the CPU, a line that says why. */
export function deviceFor(flag: string | undefined): Promise<string> {
  if (flag !== undefined) return Promise.resolve(flag)
  usual ??= usualDevice()
  return usual
}
