"""What can be measured of a page's accessibility: axe's rules, reflow, target sizes and focus.

These find a part of what troubles people. The rest is in the script that is walked by hand (docs/explanation/accessibility.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from playwright.sync_api import Page

RULES: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
SMALLEST_TARGET: Final = 24
"""CSS pixels (WCAG 2.2, 2.5.8)."""


@cache
def _axe() -> str:
    from axe_playwright_python.base import AXE_SCRIPT  # only where `make browser` has installed it

    return AXE_SCRIPT


def violations(page: Page, *, rules: Sequence[str] = ()) -> list[str]:
    """Each element that breaks one of axe's rules: `RULE (IMPACT): what to do; the element`.

    Args:
        rules: by their ids; empty: all of RULES.
    """
    page.evaluate(_axe())
    only = {"type": "rule", "values": list(rules)} if rules else {"type": "tag", "values": list(RULES)}
    result: dict[str, Any] = page.evaluate(
        "only => axe.run(document, {runOnly: only, resultTypes: ['violations']})", only
    )
    return [
        f"{violation['id']} ({violation['impact']}): {violation['help']}; {node['html'][:200]}"
        for violation in result["violations"]
        for node in violation["nodes"]
    ]


def sideways(page: Page) -> list[str]:
    """What makes the page scroll sideways: elements that reach past the window and do not stand in a box that scrolls itself.

    A table or a picture of text may scroll in its own box (WCAG 2.2, 1.4.10), the page may not.
    """
    return page.evaluate(
        """() => {
          const width = document.documentElement.clientWidth;
          if (document.documentElement.scrollWidth <= width) return [];
          const scrolls = element => {
            for (let box = element.parentElement; box; box = box.parentElement)
              if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(box).overflowX)) return true;
            return false;
          };
          const wide = [...document.body.querySelectorAll('*')]
            .filter(element => {
              const box = element.getBoundingClientRect();
              return Math.max(box.right, box.left + element.scrollWidth) > width + 1 && !scrolls(element);
            });
          const innermost = wide.filter(element => !wide.some(other => other !== element && element.contains(other)));
          return innermost.length ? innermost.map(element => element.outerHTML.slice(0, 120)) : ['the page, by no element'];
        }"""
    )


def small_targets(page: Page) -> list[str]:
    """Controls smaller than 24 by 24 px and nearer than that to another one; links in a sentence are exempt."""
    return page.evaluate(
        """smallest => {
          const targets = [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary')]
            .filter(element => element.checkVisibility({visibilityProperty: true}) && !element.disabled)
            .map(element => {
              const label = ['checkbox', 'radio'].includes(element.type) && element.labels[0];
              const own = element.getBoundingClientRect();
              const box = label ? label.getBoundingClientRect() : own;
              return {element, x: box.x, y: box.y, width: box.width, height: box.height};
            })
            .filter(target => target.width > 1 && target.height > 1);
          const in_sentence = ({element}) => getComputedStyle(element).display === 'inline'
            && [...element.parentElement.childNodes].some(node => node.nodeType === 3 && node.data.trim());
          const middle = target => [target.x + target.width / 2, target.y + target.height / 2];
          const crowded = target => targets.some(other => {
            if (other === target || other.element.contains(target.element)) return false;
            const [x, y] = middle(target);
            const nearest_x = Math.max(other.x, Math.min(x, other.x + other.width));
            const nearest_y = Math.max(other.y, Math.min(y, other.y + other.height));
            return Math.hypot(x - nearest_x, y - nearest_y) < smallest / 2;
          });
          return targets
            .filter(target => Math.min(target.width, target.height) < smallest - 0.5 && !in_sentence(target) && crowded(target))
            .map(({element, width, height}) => `${width.toFixed()}x${height.toFixed()} ${element.outerHTML.slice(0, 120)}`);
        }""",
        SMALLEST_TARGET,
    )


def cut_off(page: Page) -> list[str]:
    """Elements whose text is cut off, because their box neither grows nor scrolls."""
    return page.evaluate(
        """() => [...document.body.querySelectorAll('*')]
          .filter(element => {
            const style = getComputedStyle(element);
            if (!element.checkVisibility()) return false;
            if (element.matches('.visually-hidden, input, select, textarea, svg, svg *')) return false;
            const hides = ['hidden', 'clip'].includes(style.overflowX) || ['hidden', 'clip'].includes(style.overflowY);
            return hides && element.innerText.trim()
              && (element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1);
          })
          .map(element => element.outerHTML.slice(0, 120))"""
    )


def moving(page: Page) -> list[str]:
    """Elements that would move or fade, whatever the reader asked for."""
    return page.evaluate(
        """() => [...document.querySelectorAll('*')]
          .filter(element => ['', '::before', '::after'].some(part => {
            const style = getComputedStyle(element, part || null);
            return style.animationName !== 'none' || style.transitionDuration.split(', ').some(time => parseFloat(time) > 0);
          }))
          .map(element => element.outerHTML.slice(0, 120))"""
    )


def without_border(page: Page) -> list[str]:
    """Buttons, fields and states that a contrast theme, having taken their colours away, leaves without an edge."""
    return page.evaluate(
        """() => [...document.querySelectorAll('main :is(button:not(.link-button), [role=button], input, select, textarea, .tag)')]
          .filter(element => {
            if (element.type === 'hidden' || !element.checkVisibility() || element.matches('.visually-hidden')) return false;
            const style = getComputedStyle(element, element.type === 'file' ? '::file-selector-button' : null);
            return style.borderTopStyle === 'none' || parseFloat(style.borderTopWidth) < 1;
          })
          .map(element => element.outerHTML.slice(0, 120))"""
    )


def controls(page: Page) -> set[str]:
    """The beginning of every element that a keyboard must reach; of buttons of one choice the one that Tab stops at."""
    return set(
        page.evaluate(
            """() => [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')]
              .filter(element => element.type !== 'hidden' && !element.disabled && element.tabIndex >= 0
                && !element.closest('dialog:not([open])') && element.checkVisibility({visibilityProperty: true})
                && (element.type !== 'radio' || element.checked
                  || !document.querySelector(`input[type=radio][name="${element.name}"]:checked`)
                    && element === document.querySelector(`input[type=radio][name="${element.name}"]`)))
              .map(element => element.outerHTML.slice(0, 120))"""
        )
    )


def walk_by_tab(page: Page, most: int = 400) -> list[dict[str, Any]]:
    """Press Tab from the top until the focus leaves the page, and say of each stop what it is and how it shows.

    Returns:
        One entry for each stop: `element` (its beginning), `name` (its text), `marked` (its look differs from without focus: an
        outline or a shadow of at least 2 px), `covered` (something else lies over all of it), `inside` (it is in the window).
    """
    page.evaluate("() => { document.activeElement?.blur(); window.scrollTo(0, 0); delete window.walked; }")
    stops: list[dict[str, Any]] = []
    for _ in range(most):
        page.keyboard.press("Tab")
        stop: dict[str, Any] | None = page.evaluate(
            """() => {
              const element = document.activeElement;
              if (!element || element === document.body || element === document.documentElement) return null;
              window.walked ??= new WeakSet();
              if (window.walked.last === element) return {again: true};  // within a date
              if (window.walked.has(element)) return null;
              window.walked.add(element);
              window.walked.last = element;
              const style = getComputedStyle(element), box = element.getBoundingClientRect();
              const outline = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
              const points = [[.5, .5], [.1, .5], [.9, .5], [.5, .2], [.5, .8]].map(([x, y]) =>
                document.elementFromPoint(box.x + box.width * x, box.y + box.height * y));
              const own = other => other && (element.contains(other) || other.contains(element)
                || [...(element.labels ?? [])].some(label => label.contains(other)));
              return {
                element: element.outerHTML.slice(0, 120),
                name: (element.innerText || element.getAttribute('aria-label') || element.name || '').trim(),
                marked: outline || (style.boxShadow !== 'none' && style.boxShadow !== ''),
                covered: !points.some(own),
                inside: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
              };
            }"""
        )
        if stop is None:
            break
        if "again" not in stop:
            stops.append(stop)
    return stops
