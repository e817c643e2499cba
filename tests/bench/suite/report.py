"""report: the table, the JSON and the picture of a run."""
import json
import statistics

from . import durability
from .rows import PEERS, ROWS


def evaluate(rounds):
    """rounds: {measure: [figures of each round]}. Returns the rows with median, spread and whether the goal is met."""
    found = []
    for row in ROWS:
        if any(name not in rounds for name in row.needs):
            continue
        count = min(len(rounds[name]) for name in row.needs)
        values = [row.value({name: rounds[name][i] for name in row.needs}) for i in range(count)]
        median = statistics.median(values)
        found.append({"row": row.number, "name": row.name, "goal": row.goal, "median": median, "low": min(values),
                      "high": max(values), "limit": row.limit, "at_least": row.at_least,
                      "met": median >= row.limit if row.at_least else median <= row.limit})
    return found


def medians(rounds):
    return {name: {key: statistics.median(figures[key] for figures in all_figures) for key in all_figures[0]
                   if isinstance(all_figures[0][key], (int, float))} for name, all_figures in rounds.items()}


def number(value):
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 1000 else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def print_table(rows, rounds):
    print(f"\n{'row':<4} {'what':<62} {'goal':>10} {'median':>10}   {'spread':<19} met")
    for row in rows:
        spread = f"{number(row['low'])} … {number(row['high'])}"
        print(f"{row['row']:<4} {row['name']:<62} {row['goal']:>10} {number(row['median']):>10}   {spread:<19} "
              f"{'yes' if row['met'] else 'NO'}")
    figures = medians(rounds)
    print(f"\n{'system':<14} {'CPU µs/delivery':>16} {'deliveries/s':>14} {'p50 µs':>8} {'p99 µs':>8} {'p99.9 µs':>9} "
          f"{'KiB/idle':>9} {'connects/s':>11} {'lost':>8}")
    for name in ["ours_ws", "ours_sse", *PEERS]:
        print_system(name, figures)
    durability.print_table(rounds)


def print_system(name, figures):
    names = {"ours_ws": ("ws_steady", "ws_full", "latency", "ws_idle"),
             "ours_sse": ("sse_steady", "sse_full", None, "sse_idle")}.get(
        name, tuple(f"{name}_{what}" for what in ("steady", "full", "latency", "idle")))
    steady, full, latency, idle = (figures.get(measure, {}) for measure in names)
    if not (steady or full or latency or idle):
        return

    def cell(source, key, scale=1.0):
        return number(source[key] * scale) if key in source else "-"

    print(f"{name:<14} {cell(steady, 'cpu_us_per_delivery'):>16} {cell(full, 'delivered_per_s'):>14} "
          f"{cell(latency, 'p50_us'):>8} {cell(latency, 'p99_us'):>8} {cell(latency, 'p999_us'):>9} "
          f"{cell(idle, 'bytes_per_connection', 1 / 1024):>9} {cell(idle, 'connects_per_s'):>11} {cell(full, 'lost'):>8}")


def write_json(path, rows, rounds, environment):
    with open(path, "w", encoding="utf-8") as out:
        json.dump({"environment": environment, "rows": rows, "rounds": rounds}, out, indent=1)


def write_svg(path, rows):
    """A bar for each row: how far from its goal (1 = the goal; longer is better), with the spread as a thin line."""
    height, left, scale = 26, 470, 240

    def share(row, value):
        if row["limit"] == 0 or value == 0:
            return 3.0
        return min(3.0, value / row["limit"] if row["at_least"] else row["limit"] / value)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + 3 * scale + 90}" height="{height * (len(rows) + 2)}" '
             'font-family="sans-serif" font-size="13">', '<rect width="100%" height="100%" fill="white"/>',
             f'<text x="{left + scale + 4}" y="16" fill="#555">the goal</text>',
             f'<line x1="{left + scale}" y1="4" x2="{left + scale}" y2="{height * (len(rows) + 1)}" stroke="#555"/>']
    for i, row in enumerate(rows):
        y = height * (i + 1)
        bar = share(row, row["median"]) * scale
        low, high = sorted((share(row, row["low"]) * scale, share(row, row["high"]) * scale))
        color = "#2e7d32" if row["met"] else "#c62828"
        parts.append(f'<text x="{left - 8}" y="{y + 15}" text-anchor="end">{row["row"]} {row["name"]}</text>'
                     f'<rect x="{left}" y="{y + 4}" width="{bar:.1f}" height="{height - 10}" fill="{color}" opacity="0.75"/>'
                     f'<line x1="{left + low:.1f}" y1="{y + 12}" x2="{left + high:.1f}" y2="{y + 12}" stroke="black"/>'
                     f'<text x="{left + max(bar, high) + 6:.1f}" y="{y + 16}">{number(row["median"])} ({row["goal"]})</text>')
    parts.append("</svg>")
    with open(path, "w", encoding="utf-8") as out:
        out.write("\n".join(parts))
