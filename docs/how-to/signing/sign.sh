#!/usr/bin/env bash
# Signs an HL7 v2 message for Carebell (hl7v2-sig, profile 1, RS256) with bash and openssl.
#
#     bash sign.sh MESSAGE KEY HEADER > SIGNED
#
# HEADER is what `carebell cert show` prints for the certificate of KEY.
set -euo pipefail
export LC_ALL=C # one byte is one character: nothing is decoded or re-encoded here

if [ $# -ne 3 ]; then
    echo "usage: bash sign.sh MESSAGE KEY HEADER > SIGNED" >&2
    exit 2
fi
key=$2 header=$3

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

IFS= read -r -d '' content < "$1" || true # up to the end: a message holds no NUL
if [ "${#content}" -ne "$(wc -c < "$1")" ]; then
    echo "sign.sh: $1 holds a NUL byte; it is no HL7 message" >&2
    exit 1
fi

# One kind of segment end, CR. A line feed beside carriage returns is text and stays.
while [[ $content == *[$'\r\n'] ]]; do content=${content%?}; done
case $content in
    *$'\r'*) content=${content//$'\r\n'/$'\r'} ;;
    *) content=${content//$'\n'/$'\r'} ;;
esac
payload=$content$'\r'

protected=$(printf '%s' "$header" | base64url)
signature=$({ printf '%s.' "$protected"; printf '%s' "$payload" | base64url; } |
    openssl dgst -sha256 -sign "$key" -binary | base64url)
digest=$(printf '%s' "$payload" | openssl dgst -sha256 -r | cut -d ' ' -f 1)
printf '%sZSG|1|%s..%s|%d^%s\r' "$payload" "$protected" "$signature" "${#payload}" "$digest"
