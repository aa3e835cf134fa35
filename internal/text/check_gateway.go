package text

var gatewayTexts = []Entry{
	{"check.gateway", "前段にあるゲートウェイがヘッダーに記録した判定", "What an older gateway in front says of the mail in its header"},
	{
		"symbol.GATEWAY_SPAM",
		"前段のゲートウェイは、このメールを迷惑メールと判定しています（{header}：{value}）。",
		"The gateway in front takes this mail for spam ({header}: {value}).",
	},
	{
		"symbol.GATEWAY_TEMPERROR",
		"前段のゲートウェイの判定を読み取れませんでした（{why}）。この点は判定に含まれていません。",
		"What the gateway in front says could not be read ({why}). It did not count either way.",
	},
	{
		"fact.gateway.verdict", "前段のゲートウェイの判定。deliver（通過）、tag（印）、hold（隔離）、defer（一時的な拒否）、reject（拒否）、該当するヘッダーがなければ空",
		"What the gateway in front says: deliver, tag, hold, defer or reject; empty: it wrote no header that is read",
	},
	{"fact.gateway.score", "前段のゲートウェイの点数（なければ0）", "The score of the gateway in front; 0 when it gives none"},
	{"fact.gateway.header", "判定が書かれていたヘッダーの名前", "The name of the header field that says it"},
	{"looking.gateway", "前段のゲートウェイの判定", "what the gateway in front says"},
}
