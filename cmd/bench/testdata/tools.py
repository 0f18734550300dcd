users = {f"u{i}": {"id": f"u{i}", "name": f"User {i}", "city": ["Paris", "Rome", "Oslo"][i % 3], "balance": i * 10} for i in range(500)}
orders = []


def get_user(id):
    if id not in users:
        raise LookupError(f"there is no user {id}")
    return users[id]


def create_order(user, total):
    order = {"id": f"o{len(orders)}", "user": user, "total": total}
    orders.append(order)
    return order


def state():
    return {"orders": orders}
