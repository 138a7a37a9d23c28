By0Jq=2A33AHá
A