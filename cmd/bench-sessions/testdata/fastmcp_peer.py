"""The shop as a server of FastMCP, over Streamable HTTP, with a shop for each session."""

import sys

from fastmcp import Context, FastMCP

from shop import DESCRIPTION, Shop

mcp = FastMCP("shop")
shops = {}


@mcp.tool
async def reset(seed: int, context: Context) -> dict:
    """Makes the session's shop anew."""
    shops[context.session_id] = Shop(seed)
    return {}


@mcp.tool(description=DESCRIPTION)
async def find_items(context: Context, query: str = "", category: str | None = None) -> dict:
    return shops[context.session_id].find_items(query, category)


if __name__ == "__main__":
    mcp.run(
        transport="http",
        host="127.0.0.1",
        port=int(sys.argv[1]),
        show_banner=False,
        log_level="warning",
        json_response=True,
        uvicorn_config={"access_log": False},
    )
