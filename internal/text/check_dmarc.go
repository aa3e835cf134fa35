package text

var dmarcTexts = []Entry{
	{
		"check.dmarc", "差出人の確認（DMARC）：画面に表示される差出人のドメインが、送信元サーバーの確認（SPF）または電子署名（DKIM）で裏づけられているかを調べます。",
		"DMARC: whether SPF or DKIM vouches for the domain in From, and what its owner asks for when neither does.",
	},
	{
		"symbol.DMARC_PASS", "差出人のドメイン {domain} の正規の送信元から送られたことを確認できました。",
		"The mail was verified to come from {domain}, the domain in From.",
	},
	{
		"symbol.DMARC_REJECT", "差出人のアドレスは {domain} のものですが、このドメインの正規の送信元から送られたことを確認できませんでした。このドメインの管理者は、確認できないメールを受け取らないよう、公開の設定で求めています。差出人のアドレスは簡単に偽装できるため、なりすましと考えられます。",
		"From names {domain}, but nothing shows that the mail comes from there. The owner of that domain asks that such mail be rejected.",
	},
	{
		"symbol.DMARC_QUARANTINE", "差出人のアドレスは {domain} のものですが、このドメインの正規の送信元から送られたことを確認できませんでした。このドメインの管理者は、確認できないメールを疑わしいものとして扱うよう、公開の設定で求めています。",
		"From names {domain}, but nothing shows that the mail comes from there. The owner of that domain asks that such mail be treated as suspicious.",
	},
	{
		"symbol.DMARC_NONE_FAIL", "差出人のアドレスは {domain} のものですが、このドメインの正規の送信元から送られたことを確認できませんでした。確認できないメールをどう扱うべきかについて、このドメインの管理者は指定していません。",
		"From names {domain}, but nothing shows that the mail comes from there. The owner of that domain asks for nothing in that case.",
	},
	{
		"symbol.DMARC_NO_RECORD", "{domain} は差出人を確認するための設定（DMARC）を公開していないため、差出人が本人かどうかは確認できていません。",
		"{domain} publishes no DMARC record, so the author of the mail cannot be verified.",
	},
	{
		"symbol.DMARC_PERMERROR", "差出人のアドレスは {domain} のものですが、このドメインの正規の送信元から送られたことを確認できませんでした。また、確認できないメールの扱いを示す公開の設定（{record}）に誤りがあり、どう扱うべきかも分かりませんでした。",
		"From names {domain}, but nothing shows that the mail comes from there, and its DMARC record at {record} does not say what should happen then.",
	},
	{
		"symbol.DMARC_NO_FROM", "メールに差出人の欄がありません。通常のメールソフトで送られたメールではないと考えられます。",
		"The mail has no From field, which every mail must have.",
	},
	{
		"symbol.DMARC_BAD_FROM", "差出人の欄に、メールアドレスとして読み取れるものがありません。",
		"The From field holds no address that can be read.",
	},
	{
		"symbol.DMARC_MULTI_FROM", "差出人が複数書かれています（{domains}）。画面に表示される差出人と、確認の対象になった差出人が異なる可能性があります。",
		"The mail names several authors ({domains}); the one that is shown need not be the one that was verified.",
	},
	{
		"symbol.DMARC_TEMPERROR", "一時的な障害のため、差出人のドメインの確認（DMARC）ができませんでした（{why}）。",
		"DMARC could not be checked because of a temporary failure ({why}).",
	},
	{
		"fact.dmarc.result", "差出人の確認の結果：pass、fail、none（設定が公開されていない）、permerror のいずれか。",
		"The DMARC result: pass, fail, none (no record) or permerror.",
	},
	{
		"fact.dmarc.policy", "差出人のドメインが、確認できないメールについて求めている扱い：none、quarantine、reject のいずれか。設定が公開されていなければ空。",
		"What the domain asks for when the mail fails: none, quarantine or reject; empty without a record.",
	},
	{
		"fact.dmarc.domain", "確認の対象になった差出人のドメイン（小文字）。",
		"The domain in From that was judged, in lower case.",
	},
	{
		"fact.dmarc.org_domain", "差出人のドメインが属する組織のドメイン。",
		"The organizational domain of the domain in From (RFC 9989).",
	},
	{
		"fact.dmarc.aligned_spf", "送信元サーバーの確認（SPF）が、差出人のドメインを裏づけているかどうか。",
		"Whether SPF passed for a domain that belongs with the one in From.",
	},
	{
		"fact.dmarc.aligned_dkim", "電子署名（DKIM）が、差出人のドメインを裏づけているかどうか。",
		"Whether a valid signature is of a domain that belongs with the one in From.",
	},
}
