export { choice, number, share, sizes, text, toggle, whole } from './setting.ts'
