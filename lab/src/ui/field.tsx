import type { ComponentChildren } from 'preact'
import { useId } from 'preact/hooks'

export interface FieldProps {
  readonly label: string
  /** Behind the label, quieter. */
  readonly unit?: string
  readonly value: string
  readonly onInput: (text: string) => void
  /** Whether the value is wrong, and the id of the element that says why. */
  readonly wrong?: string | undefined
  readonly mode?: 'numeric' | 'decimal'
}

/** A line of text with its label above. */
export function Field({ label, unit, value, onInput, wrong, mode = 'numeric' }: FieldProps) {
  const id = useId()
  return (
    <div class="field">
      <label for={id}>
        {label} {unit && <span class="quiet">{unit}</span>}
      </label>
      <input
        id={id}
        type="text"
        inputMode={mode}
        autocomplete="off"
        value={value}
        aria-invalid={wrong ? true : undefined}
        aria-describedby={wrong}
        onInput={event => onInput(event.currentTarget.value)}
      />
    </div>
  )
}

export interface SelectProps<T extends string> {
  readonly label: string
  readonly value: T
  readonly options: Readonly<Record<T, string>>
  readonly onChange: (value: T) => void
}

/** A choice of one in a list. */
export function Select<T extends string>({ label, value, options, onChange }: SelectProps<T>) {
  const id = useId()
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select id={id} value={value} onChange={event => onChange(event.currentTarget.value as T)}>
        {Object.entries<string>(options).map(([key, text]) => (
          <option key={key} value={key}>
            {text}
          </option>
        ))}
      </select>
    </div>
  )
}

export interface ChoiceProps {
  readonly name: string
  readonly checked: boolean
  readonly disabled?: boolean
  readonly title: ComponentChildren
  readonly children?: ComponentChildren
  readonly onChoose: () => void
}

/** One of several cards to choose from. */
export function Choice({ name, checked, disabled, title, children, onChoose }: ChoiceProps) {
  const id = useId()
  return (
    <div class="choice">
      <input
        id={id}
        type="radio"
        name={name}
        checked={checked}
        disabled={disabled}
        aria-describedby={children ? `${id}-more` : undefined}
        onChange={onChoose}
      />
      <label for={id}>{title}</label>
      {children && (
        <div class="quiet more" id={`${id}-more`}>
          {children}
        </div>
      )}
    </div>
  )
}

export interface PickProps {
  readonly label: string
  readonly id?: string
  readonly accept?: string
  readonly multiple?: boolean
  /** Choose a folder with all that is in it. */
  readonly folder?: boolean
  readonly quiet?: boolean
  readonly onPick: (files: readonly File[]) => void
}

/** A button that lets the user choose files; the input itself stays for the keyboard, out of sight. */
export function Pick({ label, id, accept, multiple, folder, quiet, onPick }: PickProps) {
  const own = useId()
  const key = id ?? own
  return (
    <span class="pick">
      <input
        id={key}
        type="file"
        accept={accept}
        multiple={multiple || folder}
        ref={input => {
          if (input) input.webkitdirectory = folder === true
        }}
        onChange={event => {
          const input = event.currentTarget
          const files = [...(input.files ?? [])]
          // The same file can be chosen again after it has changed.
          input.value = ''
          if (files.length) onPick(files)
        }}
      />
      <label for={key} class={quiet ? 'button' : 'button primary'}>
        {label}
      </label>
    </span>
  )
}
