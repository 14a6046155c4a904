#!/usr/bin/env bash
# From a clone to the URL for Partner Center. It can be run again at any time, since every step can be repeated: after a
# failure the same command goes on, after an edit of main.bicepparam it brings the change in, after a pull the new code.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: infra/deploy.sh [--yes] [--drop-settings] [--no-test-lead] [--dynamics URL] [--parameters FILE]
                       RESOURCE_GROUP [LOCATION]

  RESOURCE_GROUP     where everything goes; it is created if it does not exist
  LOCATION           such as westeurope; needed once, for a new resource group
  --yes              do not ask before anything is created that costs money
  --drop-settings    go on where an app that is there would lose settings or destinations
  --no-test-lead     do not send a test lead at the end
  --dynamics URL     make the app a user of this environment, such as https://contoso.crm4.dynamics.com, with the
                     role "Marketplace leads" (docs/destinations/dynamics.md); needs pac, signed in
  --parameters FILE  instead of infra/RESOURCE_GROUP.bicepparam or, where there is no such file, infra/main.bicepparam

Values of secret settings come from environment variables of the same name (DYNAMICS_CLIENT_SECRET, TEAMS_WEBHOOK_URL,
...). They are needed once, and again when they change.
TEXT
}

# Exit code 1: a step failed. 2: wrong use, and nothing was done.
fail() {
  printf '\n%s\n' "$1" >&2
  exit "${2:-1}"
}

# Everything that changes or asks Azure is shown before it runs. No secret is ever an argument.
show() {
  local word
  printf '+' >&2
  for word; do
    case $word in
      *[!A-Za-z0-9_./:=@-]*) printf ' "%s"' "$word" >&2 ;;
      *) printf ' %s' "$word" >&2 ;;
    esac
  done
  printf '\n' >&2
}
run() { show "$@"; "$@"; }

# Asks a person, who is not there with --yes.
agreed() {
  local answer=
  [ -t 0 ] || fail 'Nobody is here to be asked. To go on without asking: --yes' 2
  printf 'Go on? [y/N] '
  read -r answer || answer=
  case $answer in y | Y | yes) ;; *) return 1 ;; esac
}

step() { step_name=$1; printf '\n== %s\n' "$1"; }

# TRIES SECONDS COMMAND: role assignments and new apps take minutes until all of Azure knows them.
patiently() {
  local tries=$1 pause=${DEPLOY_PAUSE:-$2} try
  shift 2
  for ((try = 1; try <= tries; try++)); do
    if "$@"; then return 0; fi
    if ((try < tries)); then
      printf 'Not yet. Trying again in %s seconds (%s of %s).\n' "$pause" "$try" "$tries" >&2
      sleep "$pause"
    fi
  done
  return 1
}

json() { python3 -c 'import json, sys
try:
    found = json.load(sys.stdin)
    for name in sys.argv[1:]:
        found = found[name]
except (ValueError, KeyError, TypeError):
    sys.exit(1)
print(found)' "$@"; }

# NAME: that key out of a list of keys, empty where the list does not have it. Anything but a list is not an answer, and
# neither is an empty one: the host gives each function a key by itself.
key_named() { python3 -c 'import json, sys
try:
    keys = json.load(sys.stdin)
except ValueError:
    sys.exit(1)
if not isinstance(keys, dict):
    sys.exit(1)
keys = keys["properties"] if isinstance(keys.get("properties"), dict) else keys
if not keys:
    sys.exit(1)
print(keys.get(sys.argv[1]) or "")' "$1"; }

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
parameters=
dynamics=
yes=
drop=
test_lead=1
group=
location=
while (($#)); do
  case $1 in
    --yes) yes=1 ;;
    --drop-settings) drop=1 ;;
    --no-test-lead) test_lead= ;;
    --parameters | --dynamics)
      if (($# < 2)); then usage >&2; exit 2; fi
      if [ "$1" = --dynamics ]; then dynamics=$2; else parameters=$2; fi
      shift
      ;;
    -h | --help) usage; exit 0 ;;
    -*) usage >&2; exit 2 ;;
    *) if [ -z "$group" ]; then group=$1; elif [ -z "$location" ]; then location=$1; else usage >&2; exit 2; fi ;;
  esac
  shift
done
[ -n "$group" ] || { usage >&2; exit 2; }
if [ -z "$parameters" ]; then
  parameters=$here/$group.bicepparam
  [ -f "$parameters" ] || parameters=$here/main.bicepparam
fi
[ -f "$parameters" ] || fail "There is no file $parameters." 2

step_name='Before anything is done'
work=$(mktemp -d)
package=$work/app.zip
finish() {
  local status=$?
  rm -rf "$work"
  if ((status != 0 && status != 2)); then
    printf '\nStopped at: %s\nWhat was done stays. Remove the cause, then run the same command again.\n' "$step_name" >&2
  fi
}
trap finish EXIT

for tool in az curl python3; do
  command -v "$tool" >/dev/null || fail "$tool was not found. The Azure CLI: https://aka.ms/azure-cli" 2
done

if [ -n "$dynamics" ]; then
  command -v pac >/dev/null || fail 'pac was not found. The Power Platform CLI: https://aka.ms/PowerPlatformCLI' 2
fi

# 2.87 hides the keys of a function, and those before it wait for ever when a new app is not healthy at once.
step 'Azure CLI'
version=$(run az version --output json | json azure-cli) || fail 'az does not tell its version. Update it: az upgrade' 2
python3 -c 'import re, sys
sys.exit([int(part) for part in re.findall(r"\d+", sys.argv[1])[:2]] < [2, 88])' "$version" ||
  fail "The Azure CLI is $version, and this needs 2.88.0 or later. Update it: az upgrade" 2

step 'Account'
run az account show --query '{subscription: name, user: user.name}' --output table ||
  fail 'Sign in first: az login'

step 'Resource group'
exists=$(run az group exists --name "$group" --output json)
if [ "$exists" != true ]; then
  [ -n "$location" ] || fail "The resource group $group does not exist yet: say where, as in: infra/deploy.sh $group westeurope" 2
  place=$(tr '[:upper:]' '[:lower:]' <<<"$location" | tr -d ' ')
  if flex=$(run az functionapp list-flexconsumption-locations --query '[].name' --output tsv) && [ -n "$flex" ]; then
    grep -qxF "$place" <<<"$flex" ||
      fail "$location has no Flex Consumption plan. Choose one of these: $(LC_ALL=C sort <<<"$flex" | xargs)" 2
  fi
fi
if [ -z "$yes" ]; then
  cat <<TEXT

Into the resource group $group of this subscription go: a function app on a Flex Consumption plan, two storage
accounts, a Key Vault, Application Insights with its workspace, and, with an alertEmail, alert rules. docs/cost.md says
what a month costs: a little more than a dollar for most publishers, plus about four with an alertEmail, plus about five
if alwaysReadyHttp is 1.
TEXT
  agreed || fail 'Nothing was created.' 2
fi
step 'Package'
build=$(run python3 "$here/package.py" "$package") || fail 'There is no package, and nothing was changed. Why stands above.'

if [ "$exists" != true ]; then
  step 'A new resource group'
  run az group create --name "$group" --location "$location" --output none
fi

# Those that have a value: Azure adds empty ones by itself.
setting_names() {
  run az functionapp config appsettings list --resource-group "$group" --name "$1" --query '[?value].name' --output tsv |
    LC_ALL=C sort
}
# NAMES: those that begin like settings of this app, and that this version of it does not read.
unknown_to_the_app() { python3 -c 'import json, sys
known = {kind + "_": fields["plain"] + fields["secret"] for kind, fields in json.load(open(sys.argv[1])).items()}
for name in sys.argv[2].split():
    fields = [field for start in known for field in known[start] if name.startswith(start)]
    if fields and "__" not in name and not any(name.endswith("_" + field) for field in fields):
        print(name)' "$here/settings.json" "$1" | xargs; }
# A deployment sets exactly what the file says: a clone without the group's own file would undo a whole set-up.
losses() {
  local names destinations
  names=$(setting_names "$1") || return 1
  destinations=$(run az functionapp config appsettings list --resource-group "$group" --name "$1" \
    --query "[?name=='LEADS_DESTINATIONS'].value" --output tsv) || return 1
  run az bicep build-params --file "$parameters" --stdout | python3 "$here/vanishing.py" "$names" "$destinations"
}
if [ "$exists" = true ] && [ -z "$drop" ]; then
  step 'Settings that the app has'
  there=$(run az functionapp list --resource-group "$group" --query "[?tags.\"azd-service-name\"=='leads'].name" --output tsv)
  for app in $there; do
    lost=$(losses "$app") || fail "What $app would lose could not be found out. To go on without: --drop-settings"
    [ -n "$lost" ] || continue
    remedy="Put what is missed into the file that this app was deployed with, infra/$group.bicepparam, and run this again."
    printf '\nWith %s the app %s would lose these:\n%s\n%s\n' "$parameters" "$app" "$lost" "$remedy" >&2
    [ -z "$yes" ] || fail 'Nothing was changed. If they shall go: --drop-settings'
    agreed || fail 'Nothing was changed.' 2
  done
fi

step 'Resources (some minutes)'
outputs=$(run az deployment group create --resource-group "$group" --name marketplace-leads \
  --parameters "$parameters" --query properties.outputs --output json)
app=$(json functionApp value <<<"$outputs")
lead_url=$(json leadUrl value <<<"$outputs")
inbox=$(json inboxAccount value <<<"$outputs")
client_id=$(json identityClientId value <<<"$outputs")
alerted=$(json alerted value <<<"$outputs")
inbox_suffix=$(json inboxEndpointSuffix value <<<"$outputs")
site="/subscriptions/{subscriptionId}/resourceGroups/$group/providers/Microsoft.Web/sites/$app"
names=$(setting_names "$app")
unknown=$(unknown_to_the_app "$names")
if [ -n "$unknown" ]; then
  printf '\nThese settings mean nothing to this version of the app; see CHANGELOG.md: %s\n' "$unknown" >&2
fi

step 'Code (some minutes)'
# `false` must be said: left out means that Azure installs the dependencies anew, for a Python of its own choice.
publish=(az functionapp deployment source config-zip --resource-group "$group" --name "$app" --src "$package"
  --build-remote false --output none)
for ((try = 1; ; try++)); do
  show "${publish[@]}"
  if said=$("${publish[@]}" 2>&1); then break; fi
  printf '%s\n' "$said" >&2
  # The code is there, and az does not like how it starts: the next step looks whether its functions are there.
  if grep -qiE 'unhealthy|partially successful' <<<"$said"; then break; fi
  # Roles that are not known yet, another deployment, a service that is not there yet: all of these pass.
  if ((try == 5)) || ! grep -qwE '403|409|503|Forbidden|Conflict|Service ?Unavailable' <<<"$said"; then
    fail 'The code could not be published. What Azure said stands above.'
  fi
  printf 'Not yet. Trying again (%s of 5).\n' "$try" >&2
  sleep "${DEPLOY_PAUSE:-60}"
done

# Without this a changed secret is taken up within 24 hours, and so is a first one whose role was not known in time.
run az rest --method post --output none --url "$site/config/configreferences/appsettings/refresh?api-version=2022-03-01" ||
  printf 'The secrets could not be read anew. Changed ones are taken up within 24 hours.\n' >&2

step "receive_lead's own key"
is_there() {
  run az functionapp function show --resource-group "$group" --name "$app" --function-name receive_lead --output none
}
patiently 10 30 is_there || fail "The code is there, but its functions are not. See in the portal: the function app > Diagnose and solve problems."
# FUNCTION NAME: one of its keys. The host answers for its keys some time after Azure knows its functions.
key_of() {
  run az rest --method post --url "$site/functions/$1/listkeys?api-version=2024-11-01" --output json | key_named "$2"
}
own_key() { key=$(key_of receive_lead marketplace); }
# Partner Center has this key: it is set only where a whole list has none, only once, and shown as Azure has it then.
patiently 6 20 own_key ||
  fail "Azure did not tell the keys of receive_lead, so none was set. What it said stands above."
if [ -z "$key" ]; then
  (umask 077 && python3 -c 'import json, secrets
print(json.dumps({"properties": {"name": "marketplace", "value": secrets.token_urlsafe(42)}}))' >"$work/key.json")
  run az rest --method put --url "$site/functions/receive_lead/keys/marketplace?api-version=2024-11-01" \
    --body "@$work/key.json" --output none ||
    printf 'Whether the key was set is not clear. Looking.\n' >&2
  own_key_is_there() { own_key && [ -n "$key" ]; }
  patiently 6 20 own_key_is_there || fail 'Azure has no key for receive_lead yet. What it said stands above.'
fi

application_user="2. Leads into Dynamics without any secret: register the app's identity as application user of the environment, with
   --dynamics URL, or by hand:
     Client id: $client_id
     Power Platform admin center > your environment > Settings > Users + permissions > Application users > New app user
   docs/deploy.md has it as a command, docs/destinations/dynamics.md the role that it needs."
if [ -n "$dynamics" ]; then
  step 'The app as a user of Dynamics'
  if run pac admin assign-user --environment "$dynamics" --user "$client_id" --role 'Marketplace leads' \
    --application-user >&2; then
    application_user="2. The app is a user of $dynamics, with the role \"Marketplace leads\"."
  else
    printf 'The app is not a user of Dynamics yet. pac auth create signs in; docs/destinations/dynamics.md makes the role.\n' >&2
  fi
fi

# The first argument, with URL and key, reaches curl on standard input: arguments can be read by all of this machine.
call() {
  local config=$1; shift
  curl --config - --silent --max-time 60 --write-out '\n%{http_code}' "$@" <<<"$config" || true
}

# Without this key the test lead is only not shown arriving, and the build not compared.
ops_key=$(key_of ops default) || ops_key=
# NAME BODY: the app's answer to an operator's question.
ask() {
  answer=$(call "url = \"${lead_url%/leads}/ops/api/$1\"
header = \"x-functions-key: $ops_key\"" --request POST --header 'content-type: application/json' \
    --header 'x-leads-request: 1' --data "$2")
  [ "${answer##*$'\n'}" = 200 ]
}

if [ -n "$test_lead" ]; then
  step 'A test lead'
  body=$(python3 -c 'import json, time
mark = "MSFT_TEST_%d" % ((time.time() + 62135596800) * 10**7)
names = ("firstName", "lastName", "company", "title")
user = {**{name: mark for name in names}, "email": mark + "@test.com", "phone": "1234567890", "country": "US"}
print(json.dumps({"userDetails": user, "leadSource": "AzureMarketplace", "actionCode": "INS",
                  "offerTitle": "Contoso Test", "description": mark}))')
  send() {
    answer=$(call "url = \"$lead_url?code=$key\"" --request POST --header 'content-type: application/json' --data "$body")
    status=${answer##*$'\n'}
    printf '+ POST %s (key not shown): %s\n' "$lead_url" "$status" >&2
    [ "$status" = 202 ]
  }
  patiently 6 20 send || fail "The test lead was answered with $status instead of 202. See Application Insights > Live metrics and > Failures."
  id=$(json id <<<"${answer%$'\n'*}")
  printf 'It was answered with 202: it is kept, as %s.\n' "$id"

  follow() {
    ask show "{\"id\": \"$id\"}" || return 1
    states=$(printf '%s' "${answer%$'\n'*}" | python3 -c 'import json, sys
for delivery in json.load(sys.stdin)["deliveries"]:
    print("  %-12s %s" % (delivery["destination"], delivery["state"]))' 2>/dev/null)
    case $states in '' | *' open'*) return 1 ;; esac
  }
  states=
  if patiently 12 5 follow; then
    case $states in
      *' dead'*) printf 'A destination refused it:\n%s\n' "$states" ;;
      *) printf 'It has arrived:\n%s\n' "$states" ;;
    esac
  else
    printf 'It is on its way still.\n%s\n' "$states"
  fi
  printf 'Its whole story: .venv/bin/python -m leads show %s --url %s\n' "$id" "${lead_url%/api/leads}"
fi

step 'What runs now'
same_build() { ask health '{}' && running=$(json build <<<"${answer%$'\n'*}") && [ "$running" = "$build" ]; }
running=
if patiently 6 10 same_build; then
  printf 'Build %s, on Python %s.\n' "$build" "$(json python <<<"${answer%$'\n'*}")"
elif [ -n "$running" ]; then
  fail "Build $build was published, and the app still runs $running. Wait some minutes, then run this again."
else
  printf 'The app did not tell which build it runs; %s was published.\n' "$build" >&2
fi

step_name='The end'
cat <<TEXT

== Done. What is left to do

1. Tell Partner Center where leads go (docs/which-way-in.md says which way suits you, and what to click).
   Azure Table, the default. The connection string to paste, a credential, is shown by:
     az storage account keys list --resource-group $group --account-name $inbox --output tsv --query "join('', ['DefaultEndpointsProtocol=https;AccountName=$inbox;AccountKey=', [0].value, ';EndpointSuffix=$inbox_suffix'])"
   HTTPS endpoint. The URL to paste; it is a credential too, whoever has it can send leads:
     $lead_url?code=$key
$application_user
3. See what is missing, after \`make install\` and with the operators' key in LEADS_OPS_KEY (docs/deploy.md):
     .venv/bin/python -m leads check --url ${lead_url%/api/leads}
TEXT
if [ "$alerted" != True ]; then
  printf '\nNobody gets an alert when leads are in trouble: set alertEmail in %s and run this again.\n' "$parameters"
elif [ "$exists" != true ]; then
  printf '\nAzure Monitor may mail once that the watch is silent and that a lead is open too long, since its rules were\nthere before the code. It mails again when they see the app.\n'
fi
