import json

with open("plan.json") as file:
    plan = json.load(file)
order = plan.get("order") or {"kind": "random"}
if order["kind"] != "random":
    raise SystemExit(
        f"the plan is of order {order['kind']}, which counts alone do not say: use mdmot export"
    )
known = [round(plan["length"] * alpha) for alpha in plan["alpha"]]
counts = plan["counts"] or [known[k + 1] - known[k] for k in range(plan["steps"])]

tokens_per_step = [count for count in counts if count]  # LLaDA: a block's row of num_transfer_tokens
timesteps, left = [1.0], plan["length"]  # Dream: step k reveals int(left * (1 - s / t)) tokens
for count in tokens_per_step:
    timesteps.append(timesteps[-1] * max(left - count - 0.5, 0) / left)
    left -= count
