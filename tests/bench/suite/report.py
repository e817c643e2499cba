"""report: the table, the JSON and the picture of a run."""
import json
import statistics

from . import durability
from .rows import PEERS

MET, MISSED, FIGURE, NOT_MEASURED = "met", "MISSED", "–", "not measured"


def evaluate(rows, rounds, reasons):
    """rounds: {measure: [figures of each round, None where it failed]}; reasons: {measure: why there is nothing of it}.

    Returns for each row what was found: medians, spread and the verdict. A row that could not be measured is there, too, and
    says why."""
    return [evaluate_row(row, rounds, reasons) for row in rows]


def evaluate_row(row, rounds, reasons):
    found = {"row": row.number, "name": row.name, "goal": row.goal, "limit": row.limit, "at_least": row.at_least, "unit": row.unit,
             "median": None, "low": None, "high": None, "ours": None, "base": None, "verdict": NOT_MEASURED, "why": ""}
    count = min((len(rounds.get(name, [])) for name in row.needs), default=0)
    whole = [m for m in ({name: rounds[name][i] for name in row.needs} for i in range(count)) if all(m.values())]
    if not whole:
        why = [reasons[name] for name in row.needs if name in reasons]
        found["why"] = why[0] if why else "its measures never worked in the same round"
        return found
    try:
        ours = [row.ours(m) for m in whole]
        base = [row.base(m) for m in whole] if row.base else [1.0] * len(ours)
        values = [mine / other for mine, other in zip(ours, base)]
    except (KeyError, ZeroDivisionError) as error:
        found["why"] = f"a figure is missing or 0: {error}"
        return found
    median = statistics.median(values)
    met = row.limit is None or (median >= row.limit if row.at_least else median <= row.limit)
    return {**found, "median": median, "low": min(values), "high": max(values), "ours": statistics.median(ours),
            "base": statistics.median(base) if row.base else None,
            "verdict": FIGURE if row.limit is None else MET if met else MISSED,
            "why": "" if len(whole) == count else f"{count - len(whole)} of {count} rounds failed"}


def medians(rounds):
    found = {}
    for name, all_figures in rounds.items():
        worked = [figures for figures in all_figures if figures]
        if worked:
            found[name] = {key: statistics.median(figures[key] for figures in worked) for key in worked[0]
                           if isinstance(worked[0][key], (int, float))}
    return found


def number(value):
    if value is None:
        return "-"
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 1000 else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def parts(row):
    """What was divided by what, or the figure with its unit."""
    if row["base"] is not None:
        return f"{number(row['ours'])} ÷ {number(row['base'])} {row['unit']}".rstrip()
    return "" if row["ours"] is None else f"{number(row['ours'])} {row['unit']}".rstrip()


def print_table(rows, rounds):
    print(f"\n{'row':<4} {'what':<60} {'goal':>10} {'median':>10}   {'spread':<19} {'verdict':<12} value")
    for row in rows:
        spread = f"{number(row['low'])} … {number(row['high'])}" if row["median"] is not None else ""
        print(f"{row['row']:<4} {row['name']:<60} {row['goal']:>10} {number(row['median']):>10}   {spread:<19} "
              f"{row['verdict']:<12} {parts(row)}{' ' if parts(row) and row['why'] else ''}"
              f"{'(' + row['why'] + ')' if row['why'] else ''}".rstrip())
    figures = medians(rounds)
    systems = [name for name in ["ours_ws", "ours_sse", *PEERS] if any(figures.get(measure) for measure in measures_of(name))]
    if systems:
        print(f"\n{'system':<14} {'CPU µs/delivery':>16} {'deliveries/s':>14} {'p50 µs':>8} {'p99 µs':>8} {'p99.9 µs':>9} "
              f"{'publishes/s':>12} {'KiB/idle':>9} {'connects/s':>11} {'lost':>8}")
    for name in systems:
        print_system(name, figures)
    durability.print_table(rounds)


def measures_of(system):
    """steady, full, latency, publish, idle."""
    return {"ours_ws": ("ws_steady", "ws_full", "latency", "publish", "ws_idle"),
            "ours_sse": ("sse_steady", "sse_full", "sse_latency", "publish", "sse_idle")}.get(
        system, tuple(f"{system}_{what}" for what in ("steady", "full", "latency", "publish", "idle")))


def print_system(name, figures):
    steady, full, latency, publish, idle = (figures.get(measure, {}) for measure in measures_of(name))

    def cell(source, key, scale=1.0):
        return number(source[key] * scale) if key in source else "-"

    # What is published over HTTP counts when it was accepted; the others do not answer.
    published = "accepted_per_s" if publish.get("accepted_per_s") else "published_per_s"
    print(f"{name:<14} {cell(steady, 'cpu_us_per_delivery'):>16} {cell(full, 'delivered_per_s'):>14} "
          f"{cell(latency, 'p50_us'):>8} {cell(latency, 'p99_us'):>8} {cell(latency, 'p999_us'):>9} "
          f"{cell(publish, published):>12} {cell(idle, 'bytes_per_connection', 1 / 1024):>9} "
          f"{cell(idle, 'connects_per_s'):>11} {cell(full, 'lost'):>8}")


def write_json(path, rows, rounds, environment, failures):
    with open(path, "w", encoding="utf-8") as out:
        json.dump({"environment": environment, "rows": rows, "rounds": rounds, "failures": failures}, out, indent=1)


def write_svg(path, rows):
    """A bar for each row: how far from its goal (1 = the goal; longer is better), with the spread as a thin line."""
    height, left, scale = 26, 470, 240
    text = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}

    def share(row, value):
        if not row["limit"] or value == 0:
            return 3.0
        return min(3.0, value / row["limit"] if row["at_least"] else row["limit"] / value)

    def escape(words):
        return "".join(text.get(letter, letter) for letter in words)

    with_goal = [row for row in rows if row["limit"] is not None]
    drawn = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + 3 * scale + 170}" '
             f'height="{height * (len(with_goal) + 2)}" font-family="sans-serif" font-size="13">',
             '<rect width="100%" height="100%" fill="white"/>',
             f'<text x="{left + scale + 4}" y="16" fill="#555">the goal</text>',
             f'<line x1="{left + scale}" y1="4" x2="{left + scale}" y2="{height * (len(with_goal) + 1)}" stroke="#555"/>']
    for i, row in enumerate(with_goal):
        y = height * (i + 1)
        drawn.append(f'<text x="{left - 8}" y="{y + 15}" text-anchor="end">{row["row"]} {escape(row["name"])}</text>')
        if row["median"] is None:
            drawn.append(f'<text x="{left + 6}" y="{y + 16}" fill="#777">not measured ({escape(row["why"])})</text>')
            continue
        bar = share(row, row["median"]) * scale
        low, high = sorted((share(row, row["low"]) * scale, share(row, row["high"]) * scale))
        color = "#2e7d32" if row["verdict"] == MET else "#c62828"
        drawn.append(f'<rect x="{left}" y="{y + 4}" width="{bar:.1f}" height="{height - 10}" fill="{color}" opacity="0.75"/>'
                     f'<line x1="{left + low:.1f}" y1="{y + 12}" x2="{left + high:.1f}" y2="{y + 12}" stroke="black"/>'
                     f'<text x="{left + max(bar, high) + 6:.1f}" y="{y + 16}">{number(row["median"])} ({escape(row["goal"])}) '
                     f'{row["verdict"].lower()}</text>')
    drawn.append("</svg>")
    with open(path, "w", encoding="utf-8") as out:
        out.write("\n".join(drawn))
