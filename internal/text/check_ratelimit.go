package text

var ratelimitTexts = []Entry{
	{
		"check.ratelimit",
		"同じ送信元・ネットワーク・差出人ドメイン・宛先のメールが、短い時間に多すぎないかを数えます。",
		"Counts whether too much arrives in a short time from one address, one network or one sender domain, or for one recipient.",
	},
	{
		"symbol.RATELIMIT_CLIENT",
		"送信元サーバー（{client}）から、短い時間に上限（{limit}）を超える数の接続がありました。",
		"The sending server ({client}) has connected more often than the limit ({limit}) allows.",
	},
	{
		"symbol.RATELIMIT_NETWORK",
		"送信元と同じネットワーク（{network}）から、短い時間に上限（{limit}）を超える数の接続がありました。",
		"The network of the sending server ({network}) has connected more often than the limit ({limit}) allows.",
	},
	{
		"symbol.RATELIMIT_SENDER_DOMAIN",
		"差出人のドメイン（{sender_domain}）から、短い時間に上限（{limit}）を超える数のメールが送られてきました。",
		"More mail than the limit ({limit}) allows has come from the sender's domain ({sender_domain}).",
	},
	{
		"symbol.RATELIMIT_RECIPIENT",
		"この宛先（{recipient}）に、短い時間に上限（{limit}）を超える数のメールが送られてきました。",
		"More mail than the limit ({limit}) allows has come for this recipient ({recipient}).",
	},
	{
		"symbol.RATELIMIT_TEMPERROR",
		"受信数の記録を参照できず、短い時間に多すぎるメールが送られていないかを確認できませんでした（{why}）。この点は判定に含まれていません。",
		"The counters could not be read, so that nobody knows whether too much arrives in a short time ({why}). It did not count either way.",
	},
	{
		"fact.ratelimit.client",
		"送信元アドレスからの接続数が上限を超えているかどうか",
		"Whether the client's address has connected more often than its limit allows",
	},
	{
		"fact.ratelimit.network",
		"送信元のネットワーク（IPv4は/24、IPv6は/64）からの接続数が上限を超えているかどうか",
		"Whether the client's network (IPv4 /24, IPv6 /64) has connected more often than its limit allows",
	},
	{
		"fact.ratelimit.sender_domain",
		"差出人ドメインからのメール数が上限を超えているかどうか（エンベロープの差出人が空のときは false）",
		"Whether more mail has come from the envelope sender's domain than its limit allows (false for the null sender)",
	},
	{
		"fact.ratelimit.recipient",
		"この宛先へのメール数が上限を超えているかどうか",
		"Whether more mail has come for this recipient than its limit allows",
	},
	{
		"fact.ratelimit.client_used",
		"送信元アドレスの上限のうち、このメールまでに使われた数",
		"How much of the limit of the client's address is used up, this mail counted; unknown where the limit is off",
	},
	{
		"fact.ratelimit.network_used",
		"送信元ネットワークの上限のうち、このメールまでに使われた数",
		"How much of the limit of the client's network is used up, this mail counted; unknown where the limit is off",
	},
	{
		"fact.ratelimit.sender_domain_used",
		"差出人ドメインの上限のうち、このメールまでに使われた数",
		"How much of the limit of the sender's domain is used up, this mail counted; unknown where the limit is off",
	},
	{
		"fact.ratelimit.recipient_used",
		"宛先の上限のうち、このメールまでに使われた数",
		"How much of the limit of the recipient is used up, this mail counted; unknown where the limit is off",
	},
}
