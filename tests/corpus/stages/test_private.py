from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.stages.private import PLACEHOLDERS, Private

FILLER = "今天的天气很好，大家都在院子里晒太阳，孩子们跑来跑去，老人坐着下棋，远处传来卖豆腐的声音，谁也不着急。"


def mask(text: str, *, medical: bool = False) -> str:
    batch = pl.DataFrame({"text": ["没有什么。", text]})
    return str(Private(medical=medical).mark(batch, Path())["text"][1])


@pytest.mark.parametrize(
    ("text", "kind", "secret"),
    [
        ("联系电话13800138000，", "mobile", "13800138000"),
        ("打+86 139 1234 5678找我", "mobile", "1234 5678"),
        ("联系电话:13200097363次年，又搬走了", "mobile", "13200097363"),  # 次 is no unit after a label
        ("手机13912345678个人使用", "mobile", "13912345678"),
        ("手机86-13912345678。", "mobile", "13912345678"),
        ("电话138-0013-8000。", "mobile", "138-0013-8000"),
        ("座机010-62345678转", "landline", "010-62345678"),
        ("电话：0755-26789012转801", "landline", "26789012"),
        ("传真:62345678", "landline", "62345678"),
        ("(021)6234-5678", "landline", "6234-5678"),
        ("身份证号11010519491231002X哦", "id_card", "11010519491231002X"),
        ("持440524198001010013的人", "id_card", "440524198001010013"),
        ("身份证：110105491231002", "id_card", "110105491231002"),
        ("加QQ123456789详谈", "qq", "123456789"),
        ("扣扣：87654321", "qq", "87654321"),
        ("qq群号 345678901", "qq", "345678901"),
        ("微信号：wx_1234567，", "wechat", "wx_1234567"),
        ("加V：zhang-san88", "wechat", "zhang-san88"),
        ("薇信abc123456找我", "wechat", "abc123456"),
        ("vx zhang2008，", "wechat", "zhang2008"),
        ("微信是zhangsan。", "wechat", "zhangsan"),
        ("加vx：lisi_888", "wechat", "lisi_888"),
        ("微信（wangwu66）", "wechat", "wangwu66"),
        ("企鹅87654321", "qq", "87654321"),
        ("TEL：13922874129", "mobile", "13922874129"),
        ("邮箱 user123@example.com ", "email", "user123@example.com"),
        ("写信给zhang.san+x@mail.edu.cn吧", "email", "zhang.san"),
        ("卡号6222 0212 3456 7890 128，", "bank_card", "3456 7890"),
        ("转到4111111111111111即可", "bank_card", "4111111111111111"),
        ("车牌粤B12345的车", "plate", "粤B12345"),
        ("京A·D12345", "plate", "D12345"),
        ("来自113.108.81.189的访问", "ip", "113.108.81.189"),
        ("住在科技路12号3栋2单元501室。", "address", "501室"),
    ],
)
def test_private_data_is_masked_and_named(text: str, kind: str, secret: str) -> None:
    for whole in (text, FILLER + text + FILLER):
        out = mask(whole)
        assert PLACEHOLDERS[kind] in out
        assert secret not in out
        row = Private().mark(pl.DataFrame({"text": [whole]}), Path()).row(0, named=True)
        assert row["private_masks"] == 1
        assert row["private_kinds"] == f"{kind}:1"


@pytest.mark.parametrize(
    "text",
    [
        "今天是20240115，明天是2024-01-16 12:30:45。",
        "国药准字H20013001，批号20230607A",
        "价格12800.50元，合计￥13800138000",
        "ISBN 978-7-302-12345-6",
        "请拨400-800-1234或95588，报警110",
        "软件版本1.2.3.4，内网192.168.10.25，本机127.0.0.1",
        "订单号20210101123456789",
        "人口13800000人，产值138001380000元",
        "第138001380001号文件",
        "圆周率3.14159265358979",
        "GB/T 22239-2019与YY0505-2012",
        "股票代码600519，涨1.25%",
        "据《民法典》第1043条、第1044条",
        "公式a=12345678*b+87654321",
        "@所有人 请看通知",
        "QQ空间和微信朋友圈很热闹，QQ音乐也是",
        "他住在中山路，离人民广场不远",
        "北京A座大楼",
        "1380013800",
        "lrwxrwxrwx 1 root root，使用wxWidgets和wxpython编程",
        "avx lahf_lm 与 VX information",
        "串dH2To0878ZaciSDIVxI1cUzuf54vreU+ZJ",
        "微信Android版与微信小程序，微信（WeChat）与微信：Android",
        "/2024/06/qQq33240513.shtml",
        "QQ用户达100000000人次，微信用户1000000000个",
        "更新时间戳: 17337495524",
        "订单号：13800138000，流水号 13912345678",
        "咨询20240115元、电话26789012次",
        "销量13800138000元，出货13912345678吨",
        "2700 2800 3000 3100 3200 3300 3400",
        "4000 4100 4200 4300 4400 4500",
        "git@github.com:yanmo/yanmo.git",
        "图标 logo@2x.png",
        "DNS 8.8.8.8，示例192.0.2.158，网段31.13.64.0，组播239.255.255.250",
        "http://example.com/13800138000/a",
    ],
)
def test_what_only_looks_private_stays(text: str) -> None:
    assert mask(text) == text
    assert mask(FILLER + text + FILLER) == FILLER + text + FILLER


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("姓名：王小明，性别男", "姓名：<姓名>，性别男"),
        ("住院号：A0012345", "住院号：<病历号>"),
        ("医保卡号 320102199001", "医保卡号 <医保号>"),
        ("出生日期：1980年3月5日", "出生日期：<出生日期>"),
    ],
)
def test_medical_labels_only_where_asked(text: str, expected: str) -> None:
    assert mask(text, medical=True) == expected
    assert mask(text) == text


PIECE = st.sampled_from(
    [
        "13800138000",
        "加QQ12345678",
        "微信：abcdef1",
        "a@b.com",
        "2024-01-15",
        "，",
        "甲",
        " ",
        "010-62345678",
        "+86",
        "x1",
        ".",
    ]
)


@given(st.lists(PIECE, max_size=12).map("".join))
def test_masking_twice_is_masking_once(text: str) -> None:
    once = mask(text)
    assert mask(once) == once


def test_several_landlines_of_an_office() -> None:
    assert mask("電話：82187220/82227110、82184220。") == "電話：<座机号>。"
    assert mask("0755-26789012/26789013，") == "<座机号>，"


def test_two_numbers_parted_by_a_slash() -> None:
    assert mask("TEL：13922874129/13922874130，") == "TEL：<手机号>/<手机号>，"


def test_a_text_of_nothing_but_labels() -> None:
    text = "QQ" * 500 + "微信" * 500
    assert mask(text) == text
