import { parseHTML } from 'linkedom'
import { expect, test } from 'vitest'
import { Html, html } from '../../src/report/html.ts'

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
