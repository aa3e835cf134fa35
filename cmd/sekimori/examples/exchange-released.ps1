# For Exchange Server and Exchange Online: a mail that somebody has released from Sekimori's quarantine is not filed into Junk again (SCL -1).
# Run it in the Exchange Management Shell, or after Connect-ExchangeOnline, with the content of quarantine.mark.token_file:
#
#   .\exchange-released.ps1 -Token (Get-Content .\released.token).Trim() -Gateway 192.0.2.10
#
# It can be run again with a new token. The rule holds only for mail that comes from Sekimori's own addresses, so that nobody else can use
# the token; give them with -Gateway.
param(
    [Parameter(Mandatory = $true)] [ValidatePattern('^[!-~]{16,200}$')] [string] $Token,
    [Parameter(Mandatory = $true)] [string[]] $Gateway,
    [string] $Name = 'Sekimori: released from the quarantine'
)
$ErrorActionPreference = 'Stop'

$rule = @{
    HeaderContainsMessageHeader = 'X-Sekimori-Token'
    HeaderContainsWords         = $Token
    SenderIpRanges              = $Gateway
    SetSCL                      = -1
    Priority                    = 0
    Comments                    = 'A person released this mail. It must not land in Junk again.'
}
if (Get-TransportRule -Identity $Name -ErrorAction SilentlyContinue) {
    Set-TransportRule -Identity $Name @rule
} else {
    New-TransportRule -Name $Name -Mode Enforce @rule
}
