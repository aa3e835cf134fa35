package text

var rdnsTexts = []Entry{
	{
		"check.rdns",
		"送信元サーバーのIPアドレスに名前が登録されているか、その名前と、サーバーが名乗った名前が本物かどうかを確認します。",
		"Looks at the name of the sending server's address, whether that name leads back to the address, and what the server calls itself.",
	},
	{
		"symbol.RDNS_CONFIRMED",
		"送信元サーバー（{ip}）の名前は {name} で、登録と一致しています。",
		"The sending server ({ip}) is called {name}, and that name leads back to it.",
	},
	{
		"symbol.RDNS_NONE",
		"送信元サーバーのIPアドレス（{ip}）に名前が登録されていません。きちんと管理されたメールサーバーには、通常、名前があります。",
		"The address of the sending server ({ip}) has no name. A mail server that is looked after has one.",
	},
	{
		"symbol.RDNS_UNCONFIRMED",
		"送信元サーバー（{ip}）には {name} という名前が付いていますが、その名前の登録内容と一致しないため、本物とは確認できませんでした。",
		"The address of the sending server ({ip}) claims the name {name}, but that name does not lead back to it.",
	},
	{
		"symbol.RDNS_GENERIC",
		"送信元の名前（{name}）は、家庭や携帯電話などの一般の回線に機械的に付けられるもので、メールサーバーの名前ではないようです。",
		"The name of the sending address ({name}) looks like one that a provider gives to every line, not like the name of a mail server.",
	},
	{
		"symbol.RDNS_HELO_SELF",
		"送信元サーバー（{ip}）が、受信側である当社のメールサーバーの名前（{helo}）を名乗りました。正規のサーバーがこのように名乗ることはありません。",
		"The sending server ({ip}) introduced itself with our own name ({helo}). No honest server does that.",
	},
	{
		"symbol.RDNS_HELO_LITERAL",
		"送信元サーバー（{ip}）が、名前ではなくIPアドレス（{helo}）を名乗りました。",
		"The sending server ({ip}) introduced itself with an address ({helo}) instead of a name.",
	},
	{
		"symbol.RDNS_HELO_NOT_FQDN",
		"送信元サーバー（{ip}）が名乗った名前（{helo}）は、インターネット上で通用する名前ではありません。",
		"The sending server ({ip}) introduced itself as {helo}, which is not a full name on the internet.",
	},
	{
		"symbol.RDNS_HELO_UNRESOLVABLE",
		"送信元サーバー（{ip}）が名乗った名前（{helo}）は存在しません。",
		"The sending server ({ip}) introduced itself as {helo}, a name that does not exist.",
	},
	{
		"symbol.RDNS_HELO_MISMATCH",
		"送信元サーバー（{ip}）が名乗った名前（{helo}）は、別のサーバー（{resolves_to}）のものです。",
		"The sending server ({ip}) introduced itself as {helo}, which is the name of another server ({resolves_to}).",
	},
	{
		"symbol.RDNS_TEMPERROR",
		"送信元サーバーの名前を調べられませんでした（{why}）。この点は判定に含まれていません。",
		"The name of the sending server could not be looked up ({why}). It did not count either way.",
	},
	{
		"fact.rdns.result",
		"送信元アドレスの逆引きの結果（pass：正引きと一致、unconfirmed：不一致、none：名前なし）",
		"What the reverse look-up of the client's address gave: pass (it leads back), unconfirmed (it does not) or none (no name)",
	},
	{
		"fact.rdns.name",
		"正引きと一致した逆引き名。一致した名前がなければ空",
		"The reverse name that leads back to the client's address; empty when there is none",
	},
	{
		"fact.rdns.domain",
		"正引きと一致した逆引き名のドメイン。一致した名前がない場合や、プロバイダーが機械的に付けた名前の場合は空",
		"The registered domain of the confirmed reverse name; empty when there is none, or when the name is one of a provider's pool",
	},
	{
		"fact.rdns.generic",
		"逆引き名が、プロバイダーが一般の回線に機械的に付ける名前に見えるかどうか",
		"Whether the reverse name looks like one that a provider gives to every line",
	},
	{
		"fact.rdns.helo",
		"HELOの名前とアドレスの関係（match、related：同じ組織、mismatch、unresolvable、not_fqdn、literal、self：このサーバー自身の名前）",
		"How the name in HELO fits the address: match, related (same organisation), mismatch, unresolvable, not_fqdn, literal or self (our own name)",
	},
}
