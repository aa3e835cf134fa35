package text

var geoipTexts = []Entry{
	{
		"check.geoip",
		"送信元のIPアドレスが、どの国の、どの事業者（AS）に割り当てられているかを調べます。",
		"Looks up the country and the network operator (AS) to which the sending address belongs.",
	},
	{
		"symbol.GEOIP_COUNTRY",
		"送信元のサーバーは、{country}にあるとみられます。",
		"The sending server appears to be in {country}.",
	},
	{
		"symbol.GEOIP_SCORE",
		"送信元のサーバーは、当社で注意の度合いを定めている国・地域（{country}）にあるとみられます。",
		"The sending server appears to be in a country ({country}) that counts by our configuration.",
	},
	{
		"symbol.GEOIP_ASN",
		"送信元のサーバーは、{org}（AS{asn}）のネットワークにあります。",
		"The sending server is in the network of {org} (AS{asn}).",
	},
	{
		"symbol.GEOIP_TEMPERROR",
		"送信元の国と事業者を調べられませんでした（{why}）。この点は判定に含まれていません。",
		"The country and operator of the sending address could not be looked up ({why}). They did not count either way.",
	},
	{
		"fact.geoip.country",
		"送信元アドレスがあるとみられる国の2文字のコード（JPなど）。データベースになければ空",
		"The two-letter code of the country in which the client's address appears to be, such as JP; empty when the database has none",
	},
	{
		"fact.geoip.registered",
		"送信元アドレスの割り当てを登録している国の2文字のコード。なければ空",
		"The two-letter code of the country in which the client's address is registered; empty when the database has none",
	},
	{
		"fact.geoip.asn",
		"送信元アドレスのAS番号。データベースになければ0",
		"The number of the autonomous system of the client's address; 0 when the database has none",
	},
	{
		"fact.geoip.as_org",
		"送信元アドレスのASを運用する事業者の名前。なければ空",
		"The operator of the autonomous system of the client's address; empty when the database has none",
	},
}
