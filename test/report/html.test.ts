import { parseHTML } from 'linkedom'
import { expect, test } from 'vitest'
import { Html, html, named } from '../../src/report/html.ts'

const HOSTILE = `<img src=x onerror="alert(1)">'&amp;</td><script>`

test('texts in a template stay texts, in elements and in attributes', () => {
  const { document } = parseHTML(html`<p title="${HOSTILE}" lang='${HOSTILE}'>${HOSTILE}</p>`.markup)
  const p = document.querySelector('p')!
  expect(document.querySelectorAll('*')).toHaveLength(1)
  expect([p.textContent, p.getAttribute('title'), p.getAttribute('lang')]).toEqual([
    HOSTILE,
    HOSTILE,
    HOSTILE,
  ])
})

test('markup is put in as it is, lists one after the other, and nothing for what is left out', () => {
  const items = ['<', 1, 0].map(v => html`<li>${v}</li>`)
  expect(html`<ol>${items}${undefined}${false}${[]}</ol>`).toEqual(
    new Html('<ol><li>&lt;</li><li>1</li><li>0</li></ol>'),
  )
})

test('what is not seen, or turns the direction of a text, gets into no page, whoever wrote it', () => {
  const text = 'a\u001b[31m\u0007b\u009bc\u202ed\u2066e\u200ff\u2028g\ud800'
  const { document } = parseHTML(html`<p title="${text}">${text}</p>`.markup)
  const p = document.querySelector('p')!
  const shown = 'a�[31m�b�c�d�e�f�g�'
  expect([p.textContent, p.getAttribute('title')]).toEqual([shown, shown])
})

test('names stay as they are written, each in the direction of its script', () => {
  const names = ['قطة', 'כלב', 'می\u200cخواهم', 'क्\u200dष', '👩🏽\u200d🔬', '漢字', 'e\u0301', '<b>']
  const { document } = parseHTML(html`<p>${names.map(named)}</p>`.markup)
  expect([...document.querySelectorAll('p > bdi')].map(b => b.textContent)).toEqual(names)
})
