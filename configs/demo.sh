#!/bin/sh
# Starts the three example services, sends one user → order → payment through them, shows
# the fleet, and stops it. Run it anywhere; it needs msctl and python3 on the PATH.
set -eu
cd "$(dirname "$0")/.."

# Sends one request and prints it with its answer, which stays in $answer.
call() {
    printf '\n$ msctl call %s %s %s %s\n' "$1" "$2" "$3" "${4-}"
    answer=$(msctl call "$@")
    printf '%s\n' "$answer"
}

# Prints one field of the last answer.
field() {
    printf '%s' "$answer" | python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}

trap 'msctl stop' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

msctl up

call user-service POST /users '{"name": "Ada Lovelace", "email": "ada@example.com"}'
user=$(field id)

call order-service POST /orders \
    "{\"user_id\": $user, \"items\": [{\"product\": \"notebook\", \"quantity\": 3, \"price\": 19.99}]}"
order=$(field id)
total=$(field total)

call payment-service POST /payments \
    "{\"order_id\": $order, \"user_id\": $user, \"amount\": $total, \"method\": \"card\"}"

call payment-service GET "/payments/$(field id)"
call order-service GET "/orders/user/$user"

printf '\n$ msctl status\n'
msctl status
