"""Words of customer data in both languages: what columns of the field are called, and how that is said in English.

``CHINESE``: a Chinese word → English words, of which a code is made (下单时间 → ordered at → ordered_at).
``ENGLISH``: one English word, or an abbreviation of column names → Chinese.
"""


def _pairs(text: str) -> dict[str, str]:
    """``word = translation`` separated by semicolons or line ends."""
    found = {}
    for item in text.replace("\n", ";").split(";"):
        word, _, said = item.partition("=")
        if said:
            found[word.strip()] = said.strip()
    return found


CHINESE = _pairs(
    """
    会员号=member no; 会员编号=member no; 会员卡号=member card no; 会员=member; 会员等级=member level
    会员名=member name; 会员姓名=member name; 会员ID=member id; 客户号=customer no; 客户编号=customer no
    客户=customer; 客户名称=customer name; 客户姓名=customer name; 顾客=customer; 顾客号=customer no; 用户=user
    用户编号=user id; 用户名=user name; 买家=buyer; 学员=student; 学生=student; 患者=patient; 顾问=adviser
    员工=employee; 销售人员=salesperson; 导购=sales adviser; 姓名=name; 名称=name; 昵称=nickname; 性别=gender
    年龄=age; 年龄段=age band; 生日=birth date; 出生日期=birth date; 手机=phone; 手机号=phone; 手机号码=phone
    电话=phone; 电话号码=phone; 联系电话=contact phone; 联系方式=contact; 邮箱=email; 电子邮箱=email; 邮件=email
    身份证=id card; 身份证号=id card; 身份证号码=id card; 证件号=id card; 证件类型=id type; 地址=address
    详细地址=address; 收货地址=shipping address; 收货人=recipient; 收件人=recipient; 微信=wechat; 微信号=wechat id
    联系人=contact person; 紧急联系人=emergency contact; 护照=passport; 护照号=passport no; 护照号码=passport no
    银行=bank; 银行卡=bank card; 银行卡号=bank card no; 银行账号=bank account no; 银行账户=bank account
    车牌=licence plate; 车牌号=licence plate; 车牌号码=licence plate; 驾驶证=driving licence
    驾驶证号=driving licence no; 账号=account no
    公众号=official account; 小程序=mini program; 设备=device; 设备号=device id; 国家=country; 省份=province
    省=province; 自治区=autonomous region; 省/自治区=province; 城市=city; 所在城市=city; 区县=district; 区域=region
    地区=region; 大区=region; 邮编=postcode; 职业=occupation; 学历=education; 收入=income; 婚姻状况=marital status
    民族=ethnicity; 教育程度=education; 公司=company; 部门=department; 订单=order; 订单号=order no
    订单编号=order no; 订单行=order line; 行号=line no; 行=line; 子订单号=suborder no; 订单状态=order status
    订单金额=order amount; 下单日期=ordered on; 订单日期=ordered on; 下单时间=ordered at; 订单时间=ordered at
    付款时间=paid at; 支付时间=paid at; 支付日期=paid on; 发货时间=shipped at; 发货日期=shipped on
    收货时间=received at; 签收时间=received at; 退货时间=returned at; 退款时间=refunded at; 成交时间=closed at
    创建时间=created at; 更新时间=updated at; 修改时间=updated at; 注册时间=registered at; 注册日期=registered on
    登录时间=logged in at; 最近登录时间=last login at; 访问时间=visited at; 浏览时间=viewed at; 入会时间=joined at
    入会日期=joined on; 开始时间=started at; 结束时间=ended at; 开始日期=started on; 结束日期=ended on
    到期日=expires on; 上市日期=launched on; 更新日期=updated on; 创建日期=created on; 交易时间=traded at
    交易日期=traded on; 时间=time; 日期=date; 时间戳=timestamp; 年=year; 月=month; 日=day; 年份=year; 月份=month
    季度=quarter; 周=week; 金额=amount; 总金额=total amount; 实付金额=paid amount; 应付金额=payable amount
    支付金额=paid amount; 退款金额=refund amount; 优惠金额=discount amount; 消费金额=spend; 累计消费金额=total spend
    销售额=sales; 客单价=average order value; 单价=unit price; 价格=price; 原价=original price; 标价=list price
    成本=cost; 利润=profit; 运费=shipping fee; 折扣=discount; 折扣率=discount rate; 优惠券=coupon; 积分=points
    余额=balance; 币种=currency; 货币=currency; 单位=unit; 金额单位=amount unit; 税额=tax; 佣金=commission
    预算=budget; 数量=quantity; 件数=quantity; 次数=count; 个数=count; 购买数量=quantity; 库存=stock; 重量=weight
    商品=product; 商品编号=product no; 商品编码=product code; 商品名称=product name; 商品ID=product id; 产品=product
    产品名称=product name; 产品编号=product no; 品牌=brand; 品类=category; 类目=category; 类别=category
    子类别=subcategory; 大类=category; 小类=subcategory; 分类=category; 规格=specification; 型号=model; 颜色=color
    尺寸=size; 条码=barcode; SKU编码=sku code; SKU=sku; 课程=course; 课程名称=course name; 项目=item; 疗程=treatment
    服务=service; 门店=store; 门店编号=store no; 门店名称=store name; 店铺=shop; 商家=merchant; 供应商=supplier
    仓库=warehouse; 渠道=channel; 所属渠道=channel; 来源=origin; 来源渠道=origin channel; 平台=platform
    邮寄方式=shipping; 配送方式=shipping; 支付方式=payment method; 付款方式=payment method; 方式=method
    活动=campaign; 活动名称=campaign name; 活动编号=campaign no; 广告=advertisement; 关键词=keyword
    搜索词=search word; 事件=event; 事件类型=event type; 事件时间=event at; 行为=behavior; 行为类型=behavior type
    行为时间=acted at; 动作=action; 页面=page; 停留时长=dwell time; 时长=duration; 点击=click; 浏览=view; 访问=visit
    会话=session; 状态=status; 类型=type; 等级=level; 级别=level; 标签=label; 备注=remark; 说明=description
    描述=description; 编号=no; 编码=code; 代码=code; 号=no; 号码=no; 序号=serial no; 名=name; 值=value; 标志=flag
    标识=flag; 是否=is; 评分=rating; 评价=review; 评论=comment; 评论数=comment count; 差评率=bad review rate
    好评率=good review rate; 退货=return; 退回=returned; 退款=refund; 取消=cancelled; 发票=invoice; 细分=segment
    地区经理=regional manager; 经理=manager; 负责人=owner; 数据=data; 主表=master; 表=table; 明细=detail
    记录=record; 行为表=behavior; 交易=transaction; 用户表=users; 会员表=members; 会员主表=members; 订单表=orders
    商品表=products; 客户表=customers; 总=total; 累计=cumulative; 平均=average; 最近=last; 首次=first; 最大=maximum
    最小=minimum; 实付=paid; 应付=payable
    访问=visit; 浏览=view; 点击=click; 搜索=search; 收藏=favorite; 加购=add cart; 加购物车=add cart; 分享=share
    下单=order; 购买=purchase; 退款=refund; 退货=return; 打开=open; 核销=redeem; 领券=claim coupon; 已支付=paid
    已付款=paid; 已完成=completed; 已取消=cancelled; 已退款=refunded; 已退货=returned
    """
)
ENGLISH = _pairs(
    """
    user=用户; usr=用户; uid=用户编号; member=会员; mbr=会员; customer=客户; cust=客户; client=客户; buyer=买家
    person=人员; student=学员; patient=患者; employee=员工; id=编号; no=编号; num=编号; number=编号; code=编码
    cd=编码; key=键; name=名称; nickname=昵称; gender=性别; sex=性别; age=年龄; birthday=生日; birth=出生
    dob=出生日期; phone=手机号; mobile=手机号; tel=电话; email=邮箱; mail=邮件; address=地址; addr=地址
    idcard=身份证; card=卡; passport=护照; bank=银行; account=账号; plate=车牌; contact=联系人; emergency=紧急
    licence=证照; license=证照; openid=OpenID; unionid=UnionID; device=设备; cookie=Cookie; ip=IP; country=国家
    province=省份; city=城市; district=区县; region=地区; area=地区; state=州; zip=邮编; postcode=邮编; order=订单
    invoice=发票; line=行; item=商品; sku=SKU; product=商品; prod=商品; goods=商品; auction=商品; brand=品牌
    category=品类; cate=品类; cat=品类; model=型号; color=颜色; size=尺寸; shop=店铺; store=门店; merchant=商家
    seller=卖家; channel=渠道; source=来源; platform=平台; campaign=活动; coupon=优惠券; event=事件; action=行为
    behavior=行为; behaviour=行为; session=会话; page=页面; click=点击; view=浏览; visit=访问; dwell=停留时长
    touch=触达方式; keyword=关键词; url=链接; time=时间; tm=时间; ts=时间; timestamp=时间戳; date=日期; dt=日期
    day=日; month=月; year=年; week=周; hour=小时; at=时间; on=日期; created=创建; updated=更新; modified=修改
    registered=注册; register=注册; reg=注册; ordered=下单; paid=支付; pay=支付; shipped=发货; joined=入会
    start=开始; end=结束; begin=开始; amount=金额; amt=金额; price=价格; cost=成本; fee=费用; sales=销售额
    profit=利润; discount=折扣; revenue=收入; income=收入; balance=余额; points=积分; currency=币种; unit=单位
    tax=税额; quantity=数量; qty=数量; mount=数量; buy=购买; count=数量; cnt=次数; total=总; avg=平均; average=平均
    rate=率; ratio=比率; score=得分; rating=评分; comment=评论; review=评价; bad=差评; has=是否有; is=是否
    status=状态; type=类型; level=等级; lv=等级; lvl=等级; flag=标志; title=标题; label=标签; remark=备注; note=备注
    description=描述; desc=描述; range=范围; group=组; returned=退回; return=退货; refund=退款; manager=经理
    owner=负责人; list=标; launched=上市; language=语言; zh=中文; en=英文; customers=客户; users=用户; members=会员
    orders=订单; products=商品; events=事件; campaigns=活动; channels=渠道; responses=响应; response=响应
    actions=行为; trade=交易; history=历史; log=日志; baby=宝宝; transaction=交易; transactions=交易; purchase=购买
    treatment=疗程; web=网站; legacy=旧系统; crm=CRM; unique=唯一; cart=加购; search=搜索; favorite=收藏
    browse=浏览
    clicked=点击; opened=打开; sent=发送; redeemed=核销; cancelled=已取消; refunded=已退款; follow=关注; share=分享
    """
)
# What a word says of a column with two values: somebody was treated, in an experiment's sense, or not.
OF_TWO = {"treatment": "处理组", "treated": "处理组", "control": "对照组", "exposure": "曝光"}
# How words of names are often misspelt. A name stays as its source has it; who reads it may be told.
MISSPELT = {
    "mount": "amount", "ammount": "amount", "catagory": "category", "catogory": "category", "adress": "address",
    "recieve": "receive", "recieved": "received", "reciept": "receipt", "quanity": "quantity", "quantiy": "quantity",
    "custumer": "customer", "costumer": "customer", "prodcut": "product", "purchace": "purchase",
    "dicount": "discount", "seperate": "separate", "refered": "referred", "occured": "occurred",
    "langauge": "language",
}  # fmt: skip
